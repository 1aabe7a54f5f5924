-- title: Background
-- section: Dataset / Masks
-- question: How much of the images is background, and which are almost all or almost none of it?
-- grain: one row per range of shares, the lowest first
-- chart: columns x=background value=images
-- column background: range of the background's share of the image; the upper bound belongs to it
-- column images: images in it
-- column share: share of all images, 0–1
-- column example: one of the images, the first by name
WITH merged AS (
    SELECT image_id, height * 1.0 * width AS whole, UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
shares AS (
    SELECT
        image_id,
        COALESCE(SUM(CASE WHEN value = 0 THEN pixels ELSE 0 END) / NULLIF(MAX(whole), 0), 1.0) AS background
    FROM merged
    GROUP BY image_id
),
ranged AS (
    SELECT
        image_id,
        CASE
            WHEN background < 0.05 THEN 0
            WHEN background > 0.98 THEN 11
            WHEN background > 0.9 THEN 10
            WHEN background <= 0.1 THEN 1
            ELSE CAST(CEIL(background * 10.0) AS BIGINT)
        END AS step
    FROM shares
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS BIGINT) AS step FROM labels WHERE class_id <= 11
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
),
grouped AS (
    SELECT step, COUNT(*) AS images, MIN(image_id) AS example FROM ranged GROUP BY step
)
SELECT
    CASE
        WHEN steps.step = 0 THEN 'below 5 %'
        WHEN steps.step = 1 THEN '5–10 %'
        WHEN steps.step = 10 THEN '90–98 %'
        WHEN steps.step = 11 THEN 'above 98 %'
        ELSE CONCAT(CAST(steps.step * 10 - 10 AS VARCHAR), '–', CAST(steps.step * 10 AS VARCHAR), ' %')
    END AS background,
    COALESCE(grouped.images, 0) AS images,
    COALESCE(ROUND(grouped.images * 1.0 / NULLIF(whole.images, 0), 5), 0.0) AS share,
    grouped.example AS example
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
