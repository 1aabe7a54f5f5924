-- title: Quarantine under its limit
-- question: Did any stage refuse more than 1 % of its items?
-- severity: warn
-- advice: look at the reasons and examples under Quarantine; mend the source, then run the stage again
-- optional: quarantine, ledger, masks, annotations
-- grain: one row per stage above the limit, the largest share first
-- column stage: the stage
-- column refused: items that it refused
-- column items: items that it was given: rows for ingest, those of the ledger where the stage keeps one, otherwise images
-- column share: refused ÷ items, 0–1
WITH refused AS (
    SELECT stage, COUNT(*) AS refused FROM quarantine GROUP BY stage
),
kept AS (
    SELECT stage, COUNT(*) AS items, SUM(CASE WHEN outcome = 'quarantined' THEN 1 ELSE 0 END) AS quarantined
    FROM ledger
    GROUP BY stage
),
passed AS (
    SELECT COUNT(*) AS rows FROM annotations
),
merged AS (
    SELECT COUNT(*) AS images FROM masks
),
compared AS (
    SELECT
        refused.stage AS stage,
        refused.refused AS refused,
        CASE
            WHEN refused.stage = 'ingest' THEN passed.rows + refused.refused
            WHEN kept.items IS NOT NULL THEN GREATEST(kept.items - kept.quarantined, 0) + refused.refused
            ELSE merged.images + refused.refused
        END AS items
    FROM refused
    LEFT JOIN kept ON refused.stage = kept.stage
    CROSS JOIN passed
    CROSS JOIN merged
)
SELECT stage, refused, CAST(items AS BIGINT) AS items, ROUND(refused * 1.0 / items, 5) AS share
FROM compared
WHERE refused * 1.0 / items > 0.01
ORDER BY share DESC, stage
