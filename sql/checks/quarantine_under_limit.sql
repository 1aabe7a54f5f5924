-- title: Quarantine under its limit
-- question: Did ingest refuse more than 1 % of the rows?
-- severity: warn
-- advice: look at the reasons and examples under Quarantine; mend the source, then run ingest again
-- optional: quarantine
-- grain: one row per reason, the most frequent first, when all together are above the limit
-- column reason: the code of the reason
-- column refused: rows refused for it
-- column share: share of all rows read, 0–1
-- column all_share: share of all rows read that were refused for any reason, 0–1
-- column example: one of the rows, the first by name
WITH refused AS (
    SELECT reason, COUNT(*) AS items, MIN(item) AS example FROM quarantine WHERE stage = 'ingest' GROUP BY reason
),
summed AS (
    SELECT COALESCE(SUM(items), 0) * 1.0 AS items FROM refused
),
passed AS (
    SELECT COUNT(*) * 1.0 AS items FROM annotations
)
SELECT
    refused.reason AS reason,
    refused.items AS refused,
    ROUND(refused.items / (passed.items + summed.items), 5) AS share,
    ROUND(summed.items / (passed.items + summed.items), 5) AS all_share,
    refused.example AS example
FROM refused
CROSS JOIN summed
CROSS JOIN passed
WHERE summed.items > 0.01 * (passed.items + summed.items)
ORDER BY refused DESC, reason
