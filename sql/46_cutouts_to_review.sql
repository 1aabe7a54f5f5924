-- title: Cutouts to look at first
-- section: Cutouts / Quality
-- question: Which cutouts are to be looked at first?
-- grain: one row per photo, the most doubtful first; the 24 most doubtful
-- column key: the photo
-- column reason: why it is held back
-- column detail: what was found
-- column doubt: how much the model doubts, 0–1
-- column confidence: how sure the model is, 0–1
-- column coverage: share of the photo kept, 0–1
-- column border_contact: share of the border that the cutout touches, 0–1
-- column components: parts that hang together
SELECT
    key,
    reason,
    detail,
    ROUND(CAST(doubt AS DOUBLE), 4) AS doubt,
    ROUND(CAST(confidence AS DOUBLE), 4) AS confidence,
    ROUND(CAST(coverage AS DOUBLE), 4) AS coverage,
    ROUND(CAST(border_contact AS DOUBLE), 4) AS border_contact,
    components
FROM ledger
WHERE outcome = 'review'
ORDER BY COALESCE(CAST(doubt AS DOUBLE), 2.0) DESC, key, pipeline, stage
LIMIT 24
