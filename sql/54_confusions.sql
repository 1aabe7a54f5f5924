-- title: Confusions
-- section: Training / Classes
-- question: Which classes does a model take for which others?
-- The table `confusion` holds the pixels of each pair of labelled and predicted value, counted by the program.
-- grain: one row per model, split and pair of different values, the most pixels first; the 40 largest
-- chart: bars label=confusion value=pixels scale=log
-- column confusion: labelled class → predicted class
-- column model: the model
-- column split: the split on which it was evaluated
-- column pixels: pixels labelled so and predicted so
-- column share_of_label: share of all pixels with that label, 0–1
-- column share_of_prediction: share of all pixels with that prediction, 0–1
WITH labelled AS (
    SELECT model, split, label, SUM(pixels) AS pixels FROM confusion GROUP BY model, split, label
),
predicted AS (
    SELECT model, split, prediction, SUM(pixels) AS pixels FROM confusion GROUP BY model, split, prediction
),
named AS (
    SELECT CAST(value AS BIGINT) AS value, name FROM labels
    UNION ALL
    SELECT 0 AS value, 'background' AS name
)
SELECT
    CONCAT(truth.name, ' → ', guess.name) AS confusion,
    confusion.model AS model,
    confusion.split AS split,
    confusion.pixels AS pixels,
    ROUND(confusion.pixels * 1.0 / labelled.pixels, 5) AS share_of_label,
    ROUND(confusion.pixels * 1.0 / predicted.pixels, 5) AS share_of_prediction
FROM confusion
INNER JOIN labelled
    ON confusion.model = labelled.model AND confusion.split = labelled.split AND confusion.label = labelled.label
INNER JOIN predicted
    ON confusion.model = predicted.model AND confusion.split = predicted.split
        AND confusion.prediction = predicted.prediction
INNER JOIN named AS truth ON CAST(confusion.label AS BIGINT) = truth.value
INNER JOIN named AS guess ON CAST(confusion.prediction AS BIGINT) = guess.value
WHERE confusion.label <> confusion.prediction AND confusion.pixels > 0
ORDER BY pixels DESC, model, split, confusion.label, confusion.prediction
LIMIT 40
