-- title: Quality by class
-- section: Training / Classes
-- question: How well does each evaluated model find each class?
-- The table `confusion` holds the pixels of each pair of labelled and predicted value, counted by the program.
-- grain: one row per model, split and class that is labelled or predicted, the best class of each first
-- chart: bars label=label value=iou
-- column label: the class, with the model and the split where there are several
-- column model: the model
-- column split: the split on which it was evaluated
-- column value: the value in the masks (0 background)
-- column iou: intersection over union, 0–1
-- column recall: share of the labelled pixels that are found, 0–1
-- column precision: share of the predicted pixels that are right, 0–1
-- column pixels: labelled pixels
WITH labelled AS (
    SELECT model, split, label AS value, SUM(pixels) AS pixels, SUM(CASE WHEN label = prediction THEN pixels ELSE 0 END) AS hits
    FROM confusion
    GROUP BY model, split, label
),
predicted AS (
    SELECT model, split, prediction AS value, SUM(pixels) AS pixels
    FROM confusion
    GROUP BY model, split, prediction
),
both AS (
    SELECT model, split, value, pixels AS labelled, hits, pixels * 0 AS predicted FROM labelled
    UNION ALL
    SELECT model, split, value, pixels * 0 AS labelled, pixels * 0 AS hits, pixels AS predicted FROM predicted
),
counted AS (
    SELECT
        model, split, value,
        SUM(labelled) * 1.0 AS labelled,
        SUM(hits) * 1.0 AS hits,
        SUM(predicted) * 1.0 AS predicted
    FROM both
    GROUP BY model, split, value
),
evaluated AS (
    SELECT COUNT(*) AS number FROM (SELECT model, split FROM confusion GROUP BY model, split)
)
SELECT
    CASE WHEN evaluated.number > 1
        THEN CONCAT(COALESCE(labels.name, 'background'), ' (', counted.model, ', ', counted.split, ')')
        ELSE COALESCE(labels.name, 'background')
    END AS label,
    counted.model AS model,
    counted.split AS split,
    counted.value AS value,
    ROUND(counted.hits / NULLIF(counted.labelled + counted.predicted - counted.hits, 0.0), 5) AS iou,
    ROUND(counted.hits / NULLIF(counted.labelled, 0.0), 5) AS recall,
    ROUND(counted.hits / NULLIF(counted.predicted, 0.0), 5) AS precision,
    CAST(counted.labelled AS BIGINT) AS pixels
FROM counted
LEFT JOIN labels ON counted.value = labels.value
CROSS JOIN evaluated
WHERE counted.labelled + counted.predicted > 0
ORDER BY
    counted.model,
    counted.split,
    ROUND(counted.hits / NULLIF(counted.labelled + counted.predicted - counted.hits, 0.0), 5) DESC,
    counted.value
