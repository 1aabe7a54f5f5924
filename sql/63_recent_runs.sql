-- title: Recent runs
-- section: Runs / History
-- question: How did the last runs end, and how long did they take?
-- grain: one row per run, the newest first; the newest 50
-- chart: bars label=run value=seconds
-- column run: the run
-- column pipeline: the pipeline
-- column date: the date that it was run for
-- column result: how it ended; empty while it runs or where it broke off
-- column exit: exit status
-- column started: when it began (UTC)
-- column seconds: how long it took
-- column stages: stages
-- column items: items of all stages
-- column unchanged: those found done already
-- column quarantined: those refused
-- column failed: those to be tried again
WITH grouped AS (
    SELECT
        run,
        MIN(pipeline) AS pipeline,
        MIN(date) AS date,
        MIN(result) AS result,
        MAX(exit) AS exit_status,
        MIN(started) AS started,
        MAX(seconds) AS seconds,
        COUNT(*) AS stages,
        SUM(ok + cached + review + quarantined + failed) AS items,
        SUM(cached) AS unchanged,
        SUM(quarantined) AS quarantined,
        SUM(failed) AS failed
    FROM runs
    GROUP BY run
)
SELECT
    run,
    pipeline,
    date,
    result,
    exit_status AS exit,
    started,
    ROUND(seconds, 2) AS seconds,
    stages,
    items,
    unchanged,
    quarantined,
    failed
FROM grouped
ORDER BY run DESC
LIMIT 50
