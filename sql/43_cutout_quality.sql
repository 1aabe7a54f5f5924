-- title: Quality of the cutouts
-- section: Cutouts / Quality
-- question: Between which values do the measures of the cutouts lie?
-- grain: one row per measure
-- column measure: what is measured
-- column meaning: in words, with the unit
-- column items: cutouts of which it is known
-- column lowest: the lowest value
-- column lower: a twentieth lie below this
-- column median: half lie below this
-- column mean: the mean
-- column upper: nineteen twentieths lie below this
-- column highest: the highest value
-- column lowest_item: the photo with the lowest value, the first by name
-- column highest_item: the photo with the highest value, the first by name
WITH measured AS (
    SELECT 1 AS position, 'coverage' AS measure, 'share of the photo kept, 0–1' AS meaning, key, CAST(coverage AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 2 AS position, 'soft share' AS measure, 'share of the photo that is half transparent, 0–1' AS meaning, key, CAST(soft_share AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 3 AS position, 'border contact' AS measure, 'share of the border that the cutout touches, 0–1' AS meaning, key, CAST(border_contact AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 4 AS position, 'confidence' AS measure, 'how sure the model is, 0–1' AS meaning, key, CAST(confidence AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 5 AS position, 'doubt' AS measure, 'how much the model doubts, 0–1' AS meaning, key, CAST(doubt AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 6 AS position, 'sharpness' AS measure, 'how sharp the edge is' AS meaning, key, CAST(sharpness AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 7 AS position, 'components' AS measure, 'parts that hang together' AS meaning, key, CAST(components AS DOUBLE) AS value FROM ledger
    UNION ALL
    SELECT 8 AS position, 'holes' AS measure, 'holes' AS meaning, key, CAST(holes AS DOUBLE) AS value FROM ledger
),
known AS (
    SELECT position, measure, meaning, key, value FROM measured WHERE value IS NOT NULL
),
grouped AS (
    SELECT
        position,
        measure,
        meaning,
        COUNT(*) AS items,
        MIN(value) AS lowest,
        QUANTILE_CONT(value, 0.05) AS lower,
        MEDIAN(value) AS median,
        AVG(value) AS mean,
        QUANTILE_CONT(value, 0.95) AS upper,
        MAX(value) AS highest
    FROM known
    GROUP BY position, measure, meaning
),
lowest AS (
    SELECT known.position AS position, MIN(known.key) AS key
    FROM known INNER JOIN grouped ON known.position = grouped.position
    WHERE known.value = grouped.lowest
    GROUP BY known.position
),
highest AS (
    SELECT known.position AS position, MIN(known.key) AS key
    FROM known INNER JOIN grouped ON known.position = grouped.position
    WHERE known.value = grouped.highest
    GROUP BY known.position
)
SELECT
    grouped.measure AS measure,
    grouped.meaning AS meaning,
    grouped.items AS items,
    ROUND(grouped.lowest, 4) AS lowest,
    ROUND(grouped.lower, 4) AS lower,
    ROUND(grouped.median, 4) AS median,
    ROUND(grouped.mean, 4) AS mean,
    ROUND(grouped.upper, 4) AS upper,
    ROUND(grouped.highest, 4) AS highest,
    lowest.key AS lowest_item,
    highest.key AS highest_item
FROM grouped
INNER JOIN lowest ON grouped.position = lowest.position
INNER JOIN highest ON grouped.position = highest.position
ORDER BY grouped.position
