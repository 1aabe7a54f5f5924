-- title: Image sizes
-- question: How large are the images, and how many lose pixels when they are brought to 512?
-- grain: one row per range of sizes, the smallest first
-- column size: range in megapixels (millions of pixels)
-- column images: images in it
-- column share: share of all images, 0–1
-- column upright: images higher than wide
-- column short_min: shortest side of any image, pixels
-- column short_mean: mean of the shorter sides, pixels
-- column long_mean: mean of the longer sides, pixels
-- column long_max: longest side of any image, pixels
-- column below_512: images whose shorter side is below 512 pixels
WITH sized AS (
    SELECT
        CASE WHEN height > width THEN 1 ELSE 0 END AS upright,
        CASE WHEN height > width THEN width ELSE height END AS short,
        CASE WHEN height > width THEN height ELSE width END AS long,
        CAST(height AS DOUBLE) * CAST(width AS DOUBLE) / 1000000.0 AS megapixels
    FROM masks
),
ranged AS (
    SELECT
        upright, short, long,
        CASE
            WHEN megapixels < 0.25 THEN 0
            WHEN megapixels < 1.0 THEN 1
            WHEN megapixels < 4.0 THEN 2
            WHEN megapixels < 16.0 THEN 3
            ELSE 4
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
        ROUND(AVG(short), 1) AS short_mean,
        ROUND(AVG(long), 1) AS long_mean,
        MAX(long) AS long_max,
        SUM(CASE WHEN short < 512 THEN 1 ELSE 0 END) AS below_512
    FROM ranged
    GROUP BY step
)
SELECT
    CASE
        WHEN grouped.step = 0 THEN '< 0.25'
        WHEN grouped.step = 1 THEN '0.25–1'
        WHEN grouped.step = 2 THEN '1–4'
        WHEN grouped.step = 3 THEN '4–16'
        ELSE '≥ 16'
    END AS size,
    grouped.images AS images,
    ROUND(grouped.images * 1.0 / whole.images, 5) AS share,
    grouped.upright AS upright,
    grouped.short_min AS short_min,
    grouped.short_mean AS short_mean,
    grouped.long_mean AS long_mean,
    grouped.long_max AS long_max,
    grouped.below_512 AS below_512
FROM grouped
CROSS JOIN whole
ORDER BY grouped.step
