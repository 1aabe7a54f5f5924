-- title: Not a fifth fewer than last time
-- question: Are there more than 20 % fewer rows, masks, images or photos than in the last run?
-- severity: block
-- advice: see whether the whole source has arrived; if there is meant to be less, accept this check once with --accept rowcount_not_dropped_20pct
-- grain: one row per total that fell, the deepest fall first
-- column item: what is counted
-- column now: in this run
-- column last: in the last run of other data
-- column change: change as a share of last, below −0.2
WITH kept AS (
    SELECT
        item,
        MAX(CASE WHEN role = 'now' THEN value END) AS now_value,
        MAX(CASE WHEN role = 'last' THEN value END) AS last_value
    FROM stats
    WHERE figure = 'totals' AND item IN ('rows', 'masks', 'images', 'photos')
    GROUP BY item
)
SELECT
    item,
    now_value AS now,
    last_value AS last,
    ROUND(now_value / last_value - 1.0, 5) AS change
FROM kept
WHERE last_value > 0 AND now_value < last_value * 0.8 AND (item <> 'photos' OR now_value > 0)
ORDER BY change, item
