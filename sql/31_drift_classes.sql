-- title: Drift of the classes
-- section: Dataset / Drift
-- question: Which classes have become more or less frequent since the last run, and since the baseline?
-- grain: one row per class, the largest change since the last run first
-- chart: bars label=name value=now value=last
-- column name: the class
-- column now: share of the annotation rows in this run, 0–1
-- column last: the same in the last run of other data; empty where there is none
-- column change: now − last
-- column relative: change ÷ last
-- column baseline: the same share in the pinned run; empty where there is none
-- column since_baseline: now − baseline
-- column masks: rows of the class now
-- column last_masks: rows of the class in the last run
WITH kept AS (
    SELECT
        item,
        MAX(CASE WHEN role = 'now' AND figure = 'class_share' THEN value END) AS now_share,
        MAX(CASE WHEN role = 'last' AND figure = 'class_share' THEN value END) AS last_share,
        MAX(CASE WHEN role = 'baseline' AND figure = 'class_share' THEN value END) AS baseline_share,
        MAX(CASE WHEN role = 'now' AND figure = 'class_masks' THEN value END) AS now_masks,
        MAX(CASE WHEN role = 'last' AND figure = 'class_masks' THEN value END) AS last_masks
    FROM stats
    WHERE figure IN ('class_share', 'class_masks') AND role IN ('now', 'last', 'baseline')
    GROUP BY item
)
SELECT
    labels.name AS name,
    COALESCE(kept.now_share, 0.0) AS now,
    kept.last_share AS last,
    ROUND(COALESCE(kept.now_share, 0.0) - kept.last_share, 5) AS change,
    ROUND((COALESCE(kept.now_share, 0.0) - kept.last_share) / NULLIF(kept.last_share, 0.0), 4) AS relative,
    kept.baseline_share AS baseline,
    ROUND(COALESCE(kept.now_share, 0.0) - kept.baseline_share, 5) AS since_baseline,
    CAST(COALESCE(kept.now_masks, 0.0) AS BIGINT) AS masks,
    CAST(kept.last_masks AS BIGINT) AS last_masks
FROM labels
LEFT JOIN kept ON labels.name = kept.item
ORDER BY ABS(COALESCE(ROUND(COALESCE(kept.now_share, 0.0) - kept.last_share, 5), 0.0)) DESC, labels.class_id
