-- title: Classes per image
-- section: Dataset / Masks
-- question: How many classes can be seen in an image after the merge?
-- grain: one row per number of classes, ascending; the last row takes all that have more
-- chart: columns x=classes value=images
-- column classes: number of classes, background and void left aside
-- column images: images that show so many
-- column share: share of all images, 0–1
-- column example: one of the images, the first by name
WITH merged AS (
    SELECT image_id, UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
imagewise AS (
    SELECT
        image_id,
        CAST(LEAST(SUM(CASE WHEN value > 0 AND value < 255 AND pixels > 0 THEN 1 ELSE 0 END), 20) AS BIGINT) AS classes
    FROM merged
    GROUP BY image_id
),
grouped AS (
    SELECT classes, COUNT(*) AS images, MIN(image_id) AS example FROM imagewise GROUP BY classes
),
-- The numbers themselves, so that one without images has a row, too.
steps AS (
    SELECT CAST(class_id AS BIGINT) AS step FROM labels WHERE class_id <= 20
),
whole AS (
    SELECT COUNT(*) AS images FROM imagewise
)
SELECT
    CASE WHEN steps.step = 20 THEN '20 or more' ELSE CAST(steps.step AS VARCHAR) END AS classes,
    COALESCE(grouped.images, 0) AS images,
    COALESCE(ROUND(grouped.images * 1.0 / NULLIF(whole.images, 0), 5), 0.0) AS share,
    grouped.example AS example
FROM steps
LEFT JOIN grouped ON steps.step = grouped.classes
CROSS JOIN whole
ORDER BY steps.step
