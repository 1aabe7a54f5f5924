-- title: Why photos were held back
-- section: Cutouts / Quality
-- question: Why are photos to be looked at, quarantined or failed?
-- grain: one row per outcome and reason, the most frequent first
-- chart: bars label=cause value=items
-- column outcome: review, quarantined or failed
-- column reason: the code of the reason
-- column cause: both
-- column items: photos
-- column share: share of all photos, 0–1
-- column example: one of the photos, the first by name
-- column detail: what was found on that photo
WITH placed AS (
    SELECT
        outcome, reason, key, detail,
        ROW_NUMBER() OVER (PARTITION BY outcome, reason ORDER BY key, pipeline, stage) AS place
    FROM (SELECT pipeline, stage, outcome, COALESCE(reason, 'no reason given') AS reason, key, detail FROM ledger)
    WHERE outcome <> 'ok'
),
grouped AS (
    SELECT
        outcome,
        reason,
        COUNT(*) AS items,
        MIN(CASE WHEN place = 1 THEN key END) AS example,
        MIN(CASE WHEN place = 1 THEN detail END) AS detail
    FROM placed
    GROUP BY outcome, reason
),
whole AS (
    SELECT COUNT(*) AS items FROM ledger
)
SELECT
    grouped.outcome AS outcome,
    grouped.reason AS reason,
    CONCAT(grouped.outcome, ' / ', grouped.reason) AS cause,
    grouped.items AS items,
    ROUND(grouped.items * 1.0 / whole.items, 5) AS share,
    grouped.example AS example,
    grouped.detail AS detail
FROM grouped
CROSS JOIN whole
ORDER BY items DESC, outcome, reason
