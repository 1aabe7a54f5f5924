-- title: Heights and widths
-- section: Dataset / Images
-- question: Which heights and widths do the images have?
-- grain: one row per square of 100 × 100 pixels in the plane of widths and heights that holds images, the fullest first; the 300 fullest
-- chart: points x=width y=height size=images
-- column width: middle of the square, pixels
-- column height: middle of the square, pixels
-- column images: images in it
-- column share: share of all images, 0–1
-- column scale: factor by which an image in the middle is scaled to fit 2048 × 512, the sides' ratio kept
WITH squared AS (
    SELECT
        CAST(FLOOR(width / 100.0) AS BIGINT) * 100 + 50 AS width,
        CAST(FLOOR(height / 100.0) AS BIGINT) * 100 + 50 AS height
    FROM masks
),
grouped AS (
    SELECT width, height, COUNT(*) AS images FROM squared GROUP BY width, height
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
)
SELECT
    grouped.width AS width,
    grouped.height AS height,
    grouped.images AS images,
    ROUND(grouped.images * 1.0 / whole.images, 5) AS share,
    ROUND(LEAST(
        2048.0 / GREATEST(grouped.width, grouped.height), 512.0 / LEAST(grouped.width, grouped.height)), 3) AS scale
FROM grouped
CROSS JOIN whole
ORDER BY images DESC, width, height
LIMIT 300
