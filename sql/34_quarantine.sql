-- title: Quarantine by reason
-- section: Dataset / Quarantine
-- question: What did not pass, in which stage, why, and since when?
-- grain: one row per stage and reason, the most frequent first
-- chart: bars label=cause value=items
-- keep: quarantine_share item=cause value=share
-- column stage: the stage that refused it
-- column reason: the code of the reason
-- column cause: both, as they are kept for the drift
-- column items: refused items
-- column share: share of all refused items, 0–1
-- column first_seen: when the first of them was refused (UTC)
-- column last_seen: when the newest of them was first refused (UTC)
-- column examples: the first five items by name
-- column detail: what was wrong with the first of them
WITH whole AS (
    SELECT COUNT(*) AS items FROM quarantine
),
placed AS (
    SELECT
        stage, reason, item, detail, first_seen,
        ROW_NUMBER() OVER (PARTITION BY stage, reason ORDER BY item, first_seen, detail) AS place
    FROM quarantine
),
grouped AS (
    SELECT
        stage,
        reason,
        COUNT(*) AS items,
        MIN(first_seen) AS first_seen,
        MAX(first_seen) AS last_seen,
        ARRAY_TO_STRING(ARRAY_AGG(item ORDER BY item LIMIT 5), ', ') AS examples,
        MIN(CASE WHEN place = 1 THEN detail END) AS detail
    FROM placed
    GROUP BY stage, reason
)
SELECT
    grouped.stage AS stage,
    grouped.reason AS reason,
    CONCAT(grouped.stage, ' / ', grouped.reason) AS cause,
    grouped.items AS items,
    ROUND(grouped.items * 1.0 / whole.items, 5) AS share,
    grouped.first_seen AS first_seen,
    grouped.last_seen AS last_seen,
    grouped.examples AS examples,
    grouped.detail AS detail
FROM grouped
CROSS JOIN whole
ORDER BY items DESC, stage, reason
