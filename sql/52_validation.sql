-- title: Validation
-- section: Training / Course
-- question: How do the measures on the validation set grow?
-- grain: one row per model and validation, in the order of the steps
-- chart: lines x=step value=mean_iou by=model
-- column model: the model
-- column step: the step after which it was validated
-- column epoch: epochs done at that step
-- column mean_iou: mean of the classes' intersection over union, 0–1
-- column foreground_iou: intersection over union of all classes against the background, 0–1
-- column pixel_accuracy: share of the pixels that are right, 0–1
-- column loss: loss on the validation set
-- column best: 1 where the mean IoU is the highest of the model so far
WITH validated AS (
    SELECT
        model, step, epoch,
        CAST(mean_iou AS DOUBLE) AS mean_iou,
        CAST(foreground_iou AS DOUBLE) AS foreground_iou,
        CAST(pixel_accuracy AS DOUBLE) AS pixel_accuracy,
        CAST(loss AS DOUBLE) AS loss,
        MAX(CAST(mean_iou AS DOUBLE)) OVER (PARTITION BY model ORDER BY step) AS highest
    FROM history
    WHERE part = 'val'
)
SELECT
    model,
    step,
    ROUND(epoch, 3) AS epoch,
    ROUND(mean_iou, 5) AS mean_iou,
    ROUND(foreground_iou, 5) AS foreground_iou,
    ROUND(pixel_accuracy, 5) AS pixel_accuracy,
    ROUND(loss, 5) AS loss,
    CASE WHEN mean_iou >= highest THEN 1 ELSE 0 END AS best
FROM validated
ORDER BY model, step
