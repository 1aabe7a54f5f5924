-- title: Rules that cutouts broke
-- section: Cutouts / Quality
-- question: Which rule of the output was broken how often?
-- grain: one row per rule, the most frequent first
-- chart: bars label=violation value=items
-- column violation: the rule
-- column items: photos that break it
-- column share: share of all photos, 0–1
-- column example: one of the photos, the first by name
WITH broken AS (
    SELECT key, UNNEST(violations) AS violation FROM ledger WHERE ARRAY_LENGTH(violations) > 0
),
grouped AS (
    SELECT violation, COUNT(*) AS items, MIN(key) AS example FROM broken GROUP BY violation
),
whole AS (
    SELECT COUNT(*) AS items FROM ledger
)
SELECT
    grouped.violation AS violation,
    grouped.items AS items,
    ROUND(grouped.items * 1.0 / whole.items, 5) AS share,
    grouped.example AS example
FROM grouped
CROSS JOIN whole
ORDER BY items DESC, violation
