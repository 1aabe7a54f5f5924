-- title: Brightness of the photos
-- section: Dataset / Photos
-- question: How bright are the photos?
-- grain: one row per range, the lowest first
-- chart: columns x=brightness value=photos
-- column brightness: range of the mean brightness, 0 black to 1 white; the lower bound belongs to the range
-- column photos: photos in it
-- column share: share of the photos of which it is known, 0–1
-- column lowest: the photo with the lowest value in the range, the first by name
WITH ranged AS (
    SELECT
        key,
        brightness,
        CASE
            WHEN brightness < 0.1 THEN 0
            WHEN brightness < 0.2 THEN 1
            WHEN brightness < 0.3 THEN 2
            WHEN brightness < 0.4 THEN 3
            WHEN brightness < 0.5 THEN 4
            WHEN brightness < 0.6 THEN 5
            WHEN brightness < 0.7 THEN 6
            WHEN brightness < 0.8 THEN 7
            WHEN brightness < 0.9 THEN 8
            ELSE 9
        END AS step
    FROM images
    WHERE brightness IS NOT NULL
),
placed AS (
    SELECT key, step, ROW_NUMBER() OVER (PARTITION BY step ORDER BY brightness, key) AS place FROM ranged
),
grouped AS (
    SELECT step, COUNT(*) AS photos, MIN(CASE WHEN place = 1 THEN key END) AS lowest FROM placed GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 9
),
whole AS (
    SELECT COUNT(*) AS photos FROM ranged
)
SELECT
    CASE
        WHEN steps.step = 0 THEN '< 0.1'
        WHEN steps.step = 1 THEN '0.1–0.2'
        WHEN steps.step = 2 THEN '0.2–0.3'
        WHEN steps.step = 3 THEN '0.3–0.4'
        WHEN steps.step = 4 THEN '0.4–0.5'
        WHEN steps.step = 5 THEN '0.5–0.6'
        WHEN steps.step = 6 THEN '0.6–0.7'
        WHEN steps.step = 7 THEN '0.7–0.8'
        WHEN steps.step = 8 THEN '0.8–0.9'
        ELSE '≥ 0.9'
    END AS brightness,
    COALESCE(grouped.photos, 0) AS photos,
    COALESCE(ROUND(grouped.photos * 1.0 / NULLIF(whole.photos, 0), 5), 0.0) AS share,
    grouped.lowest AS lowest
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
