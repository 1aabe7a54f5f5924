-- title: Image sizes
-- section: Dataset / Images
-- question: How large are the images, and how many have to be enlarged for training at 512?
-- grain: one row per range of sizes, the smallest first
-- chart: columns x=size value=images
-- keep: size_share item=size value=share
-- column size: range in megapixels (millions of pixels); the lower bound belongs to it
-- column images: images in it
-- column share: share of all images, 0–1
-- column upright: images higher than wide
-- column short_min: shortest side of any image, pixels
-- column short_median: median of the shorter sides, pixels
-- column long_median: median of the longer sides, pixels
-- column long_max: longest side of any image, pixels
-- column enlarged: images that grow when they are brought into 2048 × 512 pixels, with the sides' ratio kept
WITH sized AS (
    SELECT
        CASE WHEN height > width THEN 1 ELSE 0 END AS upright,
        LEAST(height, width) AS short,
        GREATEST(height, width) AS long,
        height * 1.0 * width / 1000000.0 AS megapixels
    FROM masks
),
ranged AS (
    SELECT
        upright, short, long,
        CASE
            WHEN megapixels < 0.0625 THEN 0
            WHEN megapixels < 0.125 THEN 1
            WHEN megapixels < 0.25 THEN 2
            WHEN megapixels < 0.5 THEN 3
            WHEN megapixels < 1.0 THEN 4
            WHEN megapixels < 2.0 THEN 5
            WHEN megapixels < 4.0 THEN 6
            WHEN megapixels < 8.0 THEN 7
            WHEN megapixels < 16.0 THEN 8
            ELSE 9
        END AS step
    FROM sized
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
),
grouped AS (
    SELECT
        step,
        COUNT(*) AS images,
        SUM(upright) AS upright,
        MIN(short) AS short_min,
        ROUND(MEDIAN(short), 1) AS short_median,
        ROUND(MEDIAN(long), 1) AS long_median,
        MAX(long) AS long_max,
        SUM(CASE WHEN short < 512 AND long < 2048 THEN 1 ELSE 0 END) AS enlarged
    FROM ranged
    GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 9
)
SELECT
    CASE
        WHEN steps.step = 0 THEN '< 0.0625'
        WHEN steps.step = 1 THEN '0.0625–0.125'
        WHEN steps.step = 2 THEN '0.125–0.25'
        WHEN steps.step = 3 THEN '0.25–0.5'
        WHEN steps.step = 4 THEN '0.5–1'
        WHEN steps.step = 5 THEN '1–2'
        WHEN steps.step = 6 THEN '2–4'
        WHEN steps.step = 7 THEN '4–8'
        WHEN steps.step = 8 THEN '8–16'
        ELSE '≥ 16'
    END AS size,
    COALESCE(grouped.images, 0) AS images,
    COALESCE(ROUND(grouped.images * 1.0 / NULLIF(whole.images, 0), 5), 0.0) AS share,
    COALESCE(grouped.upright, 0) AS upright,
    grouped.short_min AS short_min,
    grouped.short_median AS short_median,
    grouped.long_median AS long_median,
    grouped.long_max AS long_max,
    COALESCE(grouped.enlarged, 0) AS enlarged
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
