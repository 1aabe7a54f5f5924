-- title: Shapes of the images
-- section: Dataset / Images
-- question: How wide are the images for their height?
-- grain: one row per range of width ÷ height, the narrowest first
-- chart: columns x=aspect value=images
-- keep: aspect_share item=aspect value=share
-- column aspect: range of width ÷ height; the lower bound belongs to it
-- column images: images in it
-- column share: share of all images, 0–1
-- column kept_of_square: mean share of the image that the largest square inside it keeps, 0–1
WITH shaped AS (
    SELECT
        width * 1.0 / NULLIF(height, 0) AS aspect,
        LEAST(height, width) * 1.0 / NULLIF(GREATEST(height, width), 0) AS kept
    FROM masks
),
ranged AS (
    SELECT
        kept,
        CASE
            WHEN aspect < 0.33 THEN 0
            WHEN aspect < 0.5 THEN 1
            WHEN aspect < 0.6 THEN 2
            WHEN aspect < 0.7 THEN 3
            WHEN aspect < 0.8 THEN 4
            WHEN aspect < 0.95 THEN 5
            WHEN aspect < 1.05 THEN 6
            WHEN aspect < 1.4 THEN 7
            WHEN aspect < 1.6 THEN 8
            WHEN aspect < 2.0 THEN 9
            WHEN aspect < 3.0 THEN 10
            ELSE 11
        END AS step
    FROM shaped
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
),
grouped AS (
    SELECT step, COUNT(*) AS images, AVG(kept) AS kept FROM ranged GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 11
)
SELECT
    CASE
        WHEN steps.step = 0 THEN '< 0.33'
        WHEN steps.step = 1 THEN '0.33–0.5'
        WHEN steps.step = 2 THEN '0.5–0.6'
        WHEN steps.step = 3 THEN '0.6–0.7'
        WHEN steps.step = 4 THEN '0.7–0.8'
        WHEN steps.step = 5 THEN '0.8–0.95'
        WHEN steps.step = 6 THEN '0.95–1.05'
        WHEN steps.step = 7 THEN '1.05–1.4'
        WHEN steps.step = 8 THEN '1.4–1.6'
        WHEN steps.step = 9 THEN '1.6–2'
        WHEN steps.step = 10 THEN '2–3'
        ELSE '≥ 3'
    END AS aspect,
    COALESCE(grouped.images, 0) AS images,
    COALESCE(ROUND(grouped.images * 1.0 / NULLIF(whole.images, 0), 5), 0.0) AS share,
    ROUND(grouped.kept, 5) AS kept_of_square
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
