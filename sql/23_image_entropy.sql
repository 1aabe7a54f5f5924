-- title: Information in the photos
-- section: Dataset / Photos
-- question: How much information do the grey levels of the photos hold?
-- grain: one row per range, the lowest first
-- chart: columns x=entropy value=photos
-- column entropy: range of the entropy of the grey levels, bits of 8; the lower bound belongs to the range
-- column photos: photos in it
-- column share: share of the photos of which it is known, 0–1
-- column lowest: the photo with the lowest value in the range, the first by name
WITH ranged AS (
    SELECT
        key,
        entropy,
        CASE
            WHEN entropy < 2.0 THEN 0
            WHEN entropy < 3.0 THEN 1
            WHEN entropy < 4.0 THEN 2
            WHEN entropy < 5.0 THEN 3
            WHEN entropy < 6.0 THEN 4
            WHEN entropy < 6.5 THEN 5
            WHEN entropy < 7.0 THEN 6
            WHEN entropy < 7.5 THEN 7
            ELSE 8
        END AS step
    FROM images
    WHERE entropy IS NOT NULL
),
placed AS (
    SELECT key, step, ROW_NUMBER() OVER (PARTITION BY step ORDER BY entropy, key) AS place FROM ranged
),
grouped AS (
    SELECT step, COUNT(*) AS photos, MIN(CASE WHEN place = 1 THEN key END) AS lowest FROM placed GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 8
),
whole AS (
    SELECT COUNT(*) AS photos FROM ranged
)
SELECT
    CASE
        WHEN steps.step = 0 THEN '< 2'
        WHEN steps.step = 1 THEN '2–3'
        WHEN steps.step = 2 THEN '3–4'
        WHEN steps.step = 3 THEN '4–5'
        WHEN steps.step = 4 THEN '5–6'
        WHEN steps.step = 5 THEN '6–6.5'
        WHEN steps.step = 6 THEN '6.5–7'
        WHEN steps.step = 7 THEN '7–7.5'
        ELSE '≥ 7.5'
    END AS entropy,
    COALESCE(grouped.photos, 0) AS photos,
    COALESCE(ROUND(grouped.photos * 1.0 / NULLIF(whole.photos, 0), 5), 0.0) AS share,
    grouped.lowest AS lowest
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
