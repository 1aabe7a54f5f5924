-- title: Quarantine by reason
-- question: What did not pass, in which stage, why, and since when?
-- grain: one row per stage and reason, the most frequent first
-- column stage: the stage that refused it
-- column reason: the code of the reason
-- column items: refused items
-- column share: share of all refused items, 0–1
-- column first_seen: when the first of them was refused (UTC)
-- column example: one of the items, the first by name
WITH whole AS (
    SELECT COUNT(*) AS items FROM quarantine
),
grouped AS (
    SELECT
        stage,
        reason,
        COUNT(*) AS items,
        MIN(first_seen) AS first_seen,
        MIN(item) AS example
    FROM quarantine
    GROUP BY stage, reason
)
SELECT
    grouped.stage AS stage,
    grouped.reason AS reason,
    grouped.items AS items,
    ROUND(grouped.items * 1.0 / whole.items, 5) AS share,
    grouped.first_seen AS first_seen,
    grouped.example AS example
FROM grouped
CROSS JOIN whole
ORDER BY items DESC, stage, reason
