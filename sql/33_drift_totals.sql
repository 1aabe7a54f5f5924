-- title: Drift of the totals
-- section: Dataset / Drift
-- question: How much more or less is there than in the last run, and than in the baseline?
-- grain: one row per total, by name
-- column item: what is counted
-- column now: in this run
-- column last: in the last run of other data; empty where there is none
-- column change: now − last
-- column relative: change ÷ last
-- column baseline: in the pinned run; empty where there is none
-- column since_baseline: now − baseline
-- column last_at: when the last run kept its figures (UTC)
WITH kept AS (
    SELECT
        item,
        MAX(CASE WHEN role = 'now' THEN value END) AS now_value,
        MAX(CASE WHEN role = 'last' THEN value END) AS last_value,
        MAX(CASE WHEN role = 'baseline' THEN value END) AS baseline_value,
        MAX(CASE WHEN role = 'last' THEN snapshot END) AS last_at
    FROM stats
    WHERE figure = 'totals' AND role IN ('now', 'last', 'baseline')
    GROUP BY item
)
SELECT
    item,
    now_value AS now,
    last_value AS last,
    ROUND(now_value - last_value, 5) AS change,
    ROUND((now_value - last_value) / NULLIF(last_value, 0.0), 4) AS relative,
    baseline_value AS baseline,
    ROUND(now_value - baseline_value, 5) AS since_baseline,
    last_at
FROM kept
ORDER BY item
