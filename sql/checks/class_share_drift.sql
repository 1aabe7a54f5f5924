-- title: Class shares are steady
-- question: Did the share of a class change by more than a quarter of itself and by more than half a percentage point?
-- severity: warn
-- advice: see under Drift what changed; if the new mix is wanted, compare with this day from now on (--baseline)
-- grain: one row per class and run compared with, the largest change first
-- column name: the class
-- column compared_with: last (the last run of other data) or baseline (the pinned run)
-- column now: share of the annotation rows now, 0–1
-- column before: the share then, 0–1
-- column change: now − before
WITH kept AS (
    SELECT
        item,
        MAX(CASE WHEN role = 'now' THEN value END) AS now_value,
        MAX(CASE WHEN role = 'last' THEN value END) AS last_value,
        MAX(CASE WHEN role = 'baseline' THEN value END) AS baseline_value
    FROM stats
    WHERE figure = 'class_share'
    GROUP BY item
),
compared AS (
    SELECT item, 'last' AS compared_with, COALESCE(now_value, 0.0) AS now_value, last_value AS before_value FROM kept
    UNION ALL
    SELECT item, 'baseline' AS compared_with, COALESCE(now_value, 0.0) AS now_value, baseline_value AS before_value FROM kept
),
counted AS (
    SELECT COUNT(*) AS figures FROM stats WHERE figure = 'class_share' AND role = 'now'
)
SELECT
    compared.item AS name,
    compared.compared_with AS compared_with,
    compared.now_value AS now,
    compared.before_value AS before,
    ROUND(compared.now_value - compared.before_value, 5) AS change
FROM compared
CROSS JOIN counted
WHERE counted.figures > 0
    AND compared.before_value IS NOT NULL
    AND ABS(compared.now_value - compared.before_value) > 0.005
    AND ABS(compared.now_value - compared.before_value) > compared.before_value * 0.25
ORDER BY ABS(ROUND(compared.now_value - compared.before_value, 5)) DESC, name, compared_with
