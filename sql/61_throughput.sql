-- title: Throughput
-- section: Runs / Speed
-- question: How fast is each stage, and how much did it find done already?
-- grain: one row per stage, as the newest run that ended it had it, the slowest first
-- chart: bars label=label value=stage_seconds
-- column label: pipeline and stage
-- column run: the run
-- column items: items of the stage, those found done included
-- column cached_share: share of them found done, 0–1
-- column stage_seconds: time of the stage, seconds
-- column items_per_second: items worked on per second of the stage
-- column images_per_second: images per second as the stage measured it
-- column cpu_seconds: processor time, seconds
-- column cpu_per_item: processor time per item worked on, milliseconds
-- column network_cpu_share: share of the processor time spent in the model, 0–1
-- column megabytes_per_second: bytes read and written per second of the stage, millions
WITH placed AS (
    SELECT pipeline, stage, MAX(run) AS newest FROM runs WHERE stage_seconds IS NOT NULL GROUP BY pipeline, stage
),
newest AS (
    SELECT
        CONCAT(runs.pipeline, ' / ', runs.stage) AS label,
        runs.run AS run,
        runs.ok + runs.review + runs.quarantined + runs.failed AS worked,
        runs.cached AS cached,
        runs.stage_seconds AS stage_seconds,
        runs.images_per_second AS images_per_second,
        runs.cpu_seconds AS cpu_seconds,
        runs.network_cpu_share AS network_cpu_share,
        runs.bytes AS bytes
    FROM runs
    INNER JOIN placed
        ON runs.pipeline = placed.pipeline AND runs.stage = placed.stage AND runs.run = placed.newest
)
SELECT
    label,
    run,
    CAST(worked + cached AS BIGINT) AS items,
    ROUND(cached * 1.0 / NULLIF(worked + cached, 0), 5) AS cached_share,
    ROUND(stage_seconds, 2) AS stage_seconds,
    ROUND(worked / NULLIF(stage_seconds, 0.0), 3) AS items_per_second,
    ROUND(images_per_second, 3) AS images_per_second,
    ROUND(cpu_seconds, 2) AS cpu_seconds,
    ROUND(cpu_seconds * 1000.0 / NULLIF(worked, 0), 2) AS cpu_per_item,
    ROUND(network_cpu_share, 4) AS network_cpu_share,
    ROUND(bytes / 1000000.0 / NULLIF(stage_seconds, 0.0), 3) AS megabytes_per_second
FROM newest
ORDER BY stage_seconds DESC, label
