-- title: Sharpness of the photos
-- section: Dataset / Photos
-- question: How sharp are the photos?
-- grain: one row per range, the lowest first
-- chart: columns x=sharpness value=photos
-- column sharpness: range of the variance of the Laplacian; low means blurred or plain; the lower bound belongs to the range
-- column photos: photos in it
-- column share: share of the photos of which it is known, 0–1
-- column lowest: the photo with the lowest value in the range, the first by name
WITH ranged AS (
    SELECT
        key,
        sharpness,
        CASE
            WHEN sharpness < 10.0 THEN 0
            WHEN sharpness < 30.0 THEN 1
            WHEN sharpness < 100.0 THEN 2
            WHEN sharpness < 300.0 THEN 3
            WHEN sharpness < 1000.0 THEN 4
            WHEN sharpness < 3000.0 THEN 5
            ELSE 6
        END AS step
    FROM images
    WHERE sharpness IS NOT NULL
),
placed AS (
    SELECT key, step, ROW_NUMBER() OVER (PARTITION BY step ORDER BY sharpness, key) AS place FROM ranged
),
grouped AS (
    SELECT step, COUNT(*) AS photos, MIN(CASE WHEN place = 1 THEN key END) AS lowest FROM placed GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 6
),
whole AS (
    SELECT COUNT(*) AS photos FROM ranged
)
SELECT
    CASE
        WHEN steps.step = 0 THEN '< 10'
        WHEN steps.step = 1 THEN '10–30'
        WHEN steps.step = 2 THEN '30–100'
        WHEN steps.step = 3 THEN '100–300'
        WHEN steps.step = 4 THEN '300–1000'
        WHEN steps.step = 5 THEN '1000–3000'
        ELSE '≥ 3000'
    END AS sharpness,
    COALESCE(grouped.photos, 0) AS photos,
    COALESCE(ROUND(grouped.photos * 1.0 / NULLIF(whole.photos, 0), 5), 0.0) AS share,
    grouped.lowest AS lowest
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
