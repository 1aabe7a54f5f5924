-- title: The cutouts in figures
-- section: Cutouts / Summary
-- question: How many cutouts are there, and how good are they?
-- grain: one row per figure
-- numbers: label=item value=value
-- keep: cutout_totals item=item value=value
-- column item: what is counted or measured
-- column value: the count, or the mean (0–1)
WITH counted AS (
    SELECT
        COUNT(*) AS items,
        SUM(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END) AS ok,
        SUM(CASE WHEN outcome = 'review' THEN 1 ELSE 0 END) AS review,
        SUM(CASE WHEN outcome = 'quarantined' THEN 1 ELSE 0 END) AS quarantined,
        SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
        AVG(CAST(coverage AS DOUBLE)) AS coverage,
        AVG(CAST(confidence AS DOUBLE)) AS confidence,
        AVG(CAST(soft_share AS DOUBLE)) AS soft_share,
        SUM(output_bytes) AS bytes
    FROM ledger
),
figures AS (
    SELECT 1 AS position, 'photos' AS item, items * 1.0 AS value FROM counted
    UNION ALL SELECT 2 AS position, 'good' AS item, ok * 1.0 AS value FROM counted
    UNION ALL SELECT 3 AS position, 'to review' AS item, review * 1.0 AS value FROM counted
    UNION ALL SELECT 4 AS position, 'quarantined' AS item, quarantined * 1.0 AS value FROM counted
    UNION ALL SELECT 5 AS position, 'failed' AS item, failed * 1.0 AS value FROM counted
    UNION ALL SELECT 6 AS position, 'mean coverage' AS item, ROUND(coverage, 4) AS value FROM counted
    UNION ALL SELECT 7 AS position, 'mean confidence' AS item, ROUND(confidence, 4) AS value FROM counted
    UNION ALL SELECT 8 AS position, 'mean soft share' AS item, ROUND(soft_share, 4) AS value FROM counted
    UNION ALL SELECT 9 AS position, 'megabytes written' AS item, ROUND(bytes / 1000000.0, 3) AS value FROM counted
)
SELECT figures.item AS item, figures.value AS value
FROM figures
CROSS JOIN counted
WHERE counted.items > 0
ORDER BY figures.position
