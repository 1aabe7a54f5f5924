-- title: Outcomes
-- section: Cutouts / Summary
-- question: How did the photos come out?
-- grain: one row per pipeline, stage and outcome, good ones first
-- chart: bars label=outcome value=items
-- column pipeline: the pipeline
-- column stage: its stage
-- column outcome: ok, review (written, to be looked at), quarantined (nothing written), or failed (to be tried again)
-- column items: photos
-- column share: share of the stage's photos, 0–1
-- column noted: photos that something was noted on
-- column input_bytes: bytes read
-- column output_bytes: bytes written
WITH grouped AS (
    SELECT
        pipeline,
        stage,
        outcome,
        COUNT(*) AS items,
        SUM(CASE WHEN ARRAY_LENGTH(notes) > 0 THEN 1 ELSE 0 END) AS noted,
        SUM(size) AS input_bytes,
        SUM(output_bytes) AS output_bytes
    FROM ledger
    GROUP BY pipeline, stage, outcome
),
whole AS (
    SELECT pipeline, stage, SUM(items) AS items FROM grouped GROUP BY pipeline, stage
)
SELECT
    grouped.pipeline AS pipeline,
    grouped.stage AS stage,
    grouped.outcome AS outcome,
    grouped.items AS items,
    ROUND(grouped.items * 1.0 / whole.items, 5) AS share,
    grouped.noted AS noted,
    grouped.input_bytes AS input_bytes,
    grouped.output_bytes AS output_bytes
FROM grouped
INNER JOIN whole ON grouped.pipeline = whole.pipeline AND grouped.stage = whole.stage
ORDER BY
    grouped.pipeline,
    grouped.stage,
    CASE grouped.outcome WHEN 'ok' THEN 0 WHEN 'review' THEN 1 WHEN 'quarantined' THEN 2 ELSE 3 END,
    grouped.outcome
