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
-- One pass a measure: a ledger of a million photos is not laid out eight times over.
WITH grouped AS (
    SELECT 1 AS position, 'coverage' AS measure, 'share of the photo kept, 0–1' AS meaning,
        COUNT(*) AS items, MIN(CAST(coverage AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(coverage AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(coverage AS DOUBLE)) AS median, AVG(CAST(coverage AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(coverage AS DOUBLE), 0.95) AS upper, MAX(CAST(coverage AS DOUBLE)) AS highest
    FROM ledger WHERE coverage IS NOT NULL
    UNION ALL
    SELECT 2 AS position, 'soft share' AS measure, 'share of the photo that is half transparent, 0–1' AS meaning,
        COUNT(*) AS items, MIN(CAST(soft_share AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(soft_share AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(soft_share AS DOUBLE)) AS median, AVG(CAST(soft_share AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(soft_share AS DOUBLE), 0.95) AS upper, MAX(CAST(soft_share AS DOUBLE)) AS highest
    FROM ledger WHERE soft_share IS NOT NULL
    UNION ALL
    SELECT 3 AS position, 'border contact' AS measure, 'share of the border that the cutout touches, 0–1' AS meaning,
        COUNT(*) AS items, MIN(CAST(border_contact AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(border_contact AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(border_contact AS DOUBLE)) AS median, AVG(CAST(border_contact AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(border_contact AS DOUBLE), 0.95) AS upper, MAX(CAST(border_contact AS DOUBLE)) AS highest
    FROM ledger WHERE border_contact IS NOT NULL
    UNION ALL
    SELECT 4 AS position, 'confidence' AS measure, 'how sure the model is, 0–1' AS meaning,
        COUNT(*) AS items, MIN(CAST(confidence AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(confidence AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(confidence AS DOUBLE)) AS median, AVG(CAST(confidence AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(confidence AS DOUBLE), 0.95) AS upper, MAX(CAST(confidence AS DOUBLE)) AS highest
    FROM ledger WHERE confidence IS NOT NULL
    UNION ALL
    SELECT 5 AS position, 'doubt' AS measure, 'how much the model doubts, 0–1' AS meaning,
        COUNT(*) AS items, MIN(CAST(doubt AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(doubt AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(doubt AS DOUBLE)) AS median, AVG(CAST(doubt AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(doubt AS DOUBLE), 0.95) AS upper, MAX(CAST(doubt AS DOUBLE)) AS highest
    FROM ledger WHERE doubt IS NOT NULL
    UNION ALL
    SELECT 6 AS position, 'sharpness' AS measure, 'how sharp the edge is' AS meaning,
        COUNT(*) AS items, MIN(CAST(sharpness AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(sharpness AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(sharpness AS DOUBLE)) AS median, AVG(CAST(sharpness AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(sharpness AS DOUBLE), 0.95) AS upper, MAX(CAST(sharpness AS DOUBLE)) AS highest
    FROM ledger WHERE sharpness IS NOT NULL
    UNION ALL
    SELECT 7 AS position, 'components' AS measure, 'parts that hang together' AS meaning,
        COUNT(*) AS items, MIN(CAST(components AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(components AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(components AS DOUBLE)) AS median, AVG(CAST(components AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(components AS DOUBLE), 0.95) AS upper, MAX(CAST(components AS DOUBLE)) AS highest
    FROM ledger WHERE components IS NOT NULL
    UNION ALL
    SELECT 8 AS position, 'holes' AS measure, 'holes' AS meaning,
        COUNT(*) AS items, MIN(CAST(holes AS DOUBLE)) AS lowest, QUANTILE_CONT(CAST(holes AS DOUBLE), 0.05) AS lower,
        MEDIAN(CAST(holes AS DOUBLE)) AS median, AVG(CAST(holes AS DOUBLE)) AS mean,
        QUANTILE_CONT(CAST(holes AS DOUBLE), 0.95) AS upper, MAX(CAST(holes AS DOUBLE)) AS highest
    FROM ledger WHERE holes IS NOT NULL
),
lowest AS (
    SELECT 1 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(coverage AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 1) AS most ON own.value = most.value
    UNION ALL
    SELECT 2 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(soft_share AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 2) AS most ON own.value = most.value
    UNION ALL
    SELECT 3 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(border_contact AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 3) AS most ON own.value = most.value
    UNION ALL
    SELECT 4 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(confidence AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 4) AS most ON own.value = most.value
    UNION ALL
    SELECT 5 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(doubt AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 5) AS most ON own.value = most.value
    UNION ALL
    SELECT 6 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(sharpness AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 6) AS most ON own.value = most.value
    UNION ALL
    SELECT 7 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(components AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 7) AS most ON own.value = most.value
    UNION ALL
    SELECT 8 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(holes AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT lowest AS value FROM grouped WHERE position = 8) AS most ON own.value = most.value
),
highest AS (
    SELECT 1 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(coverage AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 1) AS most ON own.value = most.value
    UNION ALL
    SELECT 2 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(soft_share AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 2) AS most ON own.value = most.value
    UNION ALL
    SELECT 3 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(border_contact AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 3) AS most ON own.value = most.value
    UNION ALL
    SELECT 4 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(confidence AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 4) AS most ON own.value = most.value
    UNION ALL
    SELECT 5 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(doubt AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 5) AS most ON own.value = most.value
    UNION ALL
    SELECT 6 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(sharpness AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 6) AS most ON own.value = most.value
    UNION ALL
    SELECT 7 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(components AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 7) AS most ON own.value = most.value
    UNION ALL
    SELECT 8 AS position, MIN(own.key) AS key
    FROM (SELECT key, CAST(holes AS DOUBLE) AS value FROM ledger) AS own
    INNER JOIN (SELECT highest AS value FROM grouped WHERE position = 8) AS most ON own.value = most.value
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
WHERE grouped.items > 0
ORDER BY grouped.position
