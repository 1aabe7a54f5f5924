-- title: The trainings in figures
-- section: Training / Summary
-- question: How far did each training come, and how good was its best validation?
-- grain: one row per model and figure
-- numbers: label=item value=value
-- column item: the model and what is counted or measured
-- column value: the count, the hours, or the measure (0–1)
WITH trained AS (
    SELECT
        model,
        MAX(step) AS steps,
        MAX(epoch) AS epochs,
        SUM(CAST(seconds AS DOUBLE)) / 3600.0 AS hours,
        SUM(CAST(wait_seconds AS DOUBLE)) / NULLIF(SUM(CAST(seconds AS DOUBLE)), 0.0) AS waited
    FROM history
    GROUP BY model
),
validated AS (
    SELECT
        model, step,
        CAST(mean_iou AS DOUBLE) AS mean_iou,
        CAST(pixel_accuracy AS DOUBLE) AS pixel_accuracy,
        CAST(foreground_iou AS DOUBLE) AS foreground_iou,
        ROW_NUMBER() OVER (PARTITION BY model ORDER BY -CAST(mean_iou AS DOUBLE), step) AS place
    FROM history
    WHERE part = 'val' AND mean_iou IS NOT NULL
),
best AS (
    SELECT model, step, mean_iou, pixel_accuracy, foreground_iou FROM validated WHERE place = 1
),
figures AS (
    SELECT model, 1 AS position, 'steps' AS item, steps * 1.0 AS value FROM trained
    UNION ALL SELECT model, 2 AS position, 'epochs' AS item, ROUND(epochs, 2) AS value FROM trained
    UNION ALL SELECT model, 3 AS position, 'hours' AS item, ROUND(hours, 3) AS value FROM trained
    UNION ALL SELECT model, 4 AS position, 'share of the time spent waiting for data' AS item, ROUND(waited, 4) AS value FROM trained
    UNION ALL SELECT model, 5 AS position, 'best mean IoU' AS item, ROUND(mean_iou, 4) AS value FROM best
    UNION ALL SELECT model, 6 AS position, 'pixel accuracy there' AS item, ROUND(pixel_accuracy, 4) AS value FROM best
    UNION ALL SELECT model, 7 AS position, 'foreground IoU there' AS item, ROUND(foreground_iou, 4) AS value FROM best
    UNION ALL SELECT model, 8 AS position, 'step of the best' AS item, step * 1.0 AS value FROM best
)
SELECT CONCAT(model, ': ', item) AS item, value
FROM figures
WHERE value IS NOT NULL
ORDER BY model, position
