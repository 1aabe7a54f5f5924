-- title: The last run in figures
-- section: Runs / Summary
-- question: What did the newest run that has ended do?
-- grain: one row per figure
-- numbers: label=item value=value
-- column item: what is counted or measured
-- column value: the count, the seconds or the megabytes
WITH chosen AS (
    SELECT COALESCE(MAX(CASE WHEN ended IS NOT NULL THEN run END), MAX(run)) AS run FROM runs
),
counted AS (
    SELECT
        COUNT(*) AS stages,
        MAX(runs.exit) AS exit_status,
        MAX(runs.seconds) AS seconds,
        SUM(runs.ok) AS ok,
        SUM(runs.cached) AS cached,
        SUM(runs.review) AS review,
        SUM(runs.quarantined) AS quarantined,
        SUM(runs.failed) AS failed,
        SUM(runs.bytes) AS bytes,
        SUM(runs.cpu_seconds) AS cpu_seconds
    FROM runs
    INNER JOIN chosen ON runs.run = chosen.run
),
figures AS (
    SELECT 1 AS position, 'stages' AS item, stages * 1.0 AS value FROM counted
    UNION ALL SELECT 2 AS position, 'exit status' AS item, exit_status * 1.0 AS value FROM counted
    UNION ALL SELECT 3 AS position, 'seconds' AS item, ROUND(seconds, 2) AS value FROM counted
    UNION ALL SELECT 4 AS position, 'CPU seconds' AS item, ROUND(cpu_seconds, 2) AS value FROM counted
    UNION ALL SELECT 5 AS position, 'items done' AS item, ok * 1.0 AS value FROM counted
    UNION ALL SELECT 6 AS position, 'items unchanged' AS item, cached * 1.0 AS value FROM counted
    UNION ALL SELECT 7 AS position, 'items to review' AS item, review * 1.0 AS value FROM counted
    UNION ALL SELECT 8 AS position, 'items quarantined' AS item, quarantined * 1.0 AS value FROM counted
    UNION ALL SELECT 9 AS position, 'items failed' AS item, failed * 1.0 AS value FROM counted
    UNION ALL SELECT 10 AS position, 'megabytes' AS item, ROUND(bytes / 1000000.0, 3) AS value FROM counted
)
SELECT figures.item AS item, figures.value AS value
FROM figures
CROSS JOIN counted
WHERE counted.stages > 0 AND figures.value IS NOT NULL
ORDER BY figures.position
