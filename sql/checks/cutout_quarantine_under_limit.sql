-- title: Refused photos under their limit
-- question: Did a stage that makes cutouts refuse more than 1 % of its photos?
-- severity: warn
-- advice: look at the reasons under Cutouts; mend or remove the photos, then run the stage again
-- grain: one row per pipeline, stage and reason, the most frequent first, of stages above the limit
-- column pipeline: the pipeline
-- column stage: its stage
-- column reason: the code of the reason
-- column refused: photos refused for it
-- column share: share of the stage's photos, 0–1
-- column all_share: share of the stage's photos that were refused for any reason, 0–1
-- column example: one of the photos, the first by name
WITH whole AS (
    SELECT
        pipeline,
        stage,
        COUNT(*) * 1.0 AS items,
        SUM(CASE WHEN outcome = 'quarantined' THEN 1.0 ELSE 0.0 END) AS refused
    FROM ledger
    GROUP BY pipeline, stage
),
grouped AS (
    SELECT pipeline, stage, COALESCE(reason, 'no reason given') AS reason, COUNT(*) AS refused, MIN(key) AS example
    FROM ledger
    WHERE outcome = 'quarantined'
    GROUP BY pipeline, stage, COALESCE(reason, 'no reason given')
)
SELECT
    grouped.pipeline AS pipeline,
    grouped.stage AS stage,
    grouped.reason AS reason,
    grouped.refused AS refused,
    ROUND(grouped.refused / whole.items, 5) AS share,
    ROUND(whole.refused / whole.items, 5) AS all_share,
    grouped.example AS example
FROM grouped
INNER JOIN whole ON grouped.pipeline = whole.pipeline AND grouped.stage = whole.stage
WHERE whole.refused > 0.01 * whole.items
ORDER BY refused DESC, pipeline, stage, reason
