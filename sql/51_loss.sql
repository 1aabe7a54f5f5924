-- title: Loss
-- section: Training / Course
-- question: How does the loss fall in training and in validation?
-- grain: one row per curve and interval of steps; a curve has at most 200 intervals, each with the mean of its steps
-- chart: lines x=step value=loss by=curve
-- column curve: the model and the part (train or val)
-- column step: last step of the interval
-- column epoch: epochs done at that step
-- column loss: mean loss
-- column learning_rate: lowest learning rate in the interval
-- column steps: points in the interval
WITH longest AS (
    SELECT model, MAX(step) AS step FROM history GROUP BY model
),
placed AS (
    SELECT
        history.model AS model,
        history.part AS part,
        history.step AS step,
        history.epoch AS epoch,
        CAST(history.loss AS DOUBLE) AS loss,
        CAST(history.learning_rate AS DOUBLE) AS learning_rate,
        CAST(CEIL(history.step * 200.0 / NULLIF(longest.step, 0)) AS BIGINT) AS interval_of
    FROM history
    INNER JOIN longest ON history.model = longest.model
    WHERE history.loss IS NOT NULL
),
grouped AS (
    SELECT
        model,
        part,
        interval_of,
        MAX(step) AS step,
        MAX(epoch) AS epoch,
        AVG(loss) AS loss,
        MIN(learning_rate) AS learning_rate,
        COUNT(*) AS steps
    FROM placed
    GROUP BY model, part, interval_of
)
SELECT
    CONCAT(model, ' ', part) AS curve,
    step,
    ROUND(epoch, 3) AS epoch,
    ROUND(loss, 5) AS loss,
    ROUND(learning_rate, 9) AS learning_rate,
    steps
FROM grouped
ORDER BY model, part, step
