-- title: From the file to the training set
-- section: Dataset / Summary
-- question: How many rows, images and photos come through, and where are the others lost?
-- grain: one row per step, with a row for each reason of a loss below it
-- chart: none
-- column step: the step
-- column unit: what is counted
-- column count: how many come through; with a reason: how many are lost here for it
-- column reason: the code of the reason of a loss; empty in the row of the step itself
-- column example: an item that is lost so, the first by name
WITH refused AS (
    SELECT stage, reason, COUNT(*) AS items, MIN(item) AS example FROM quarantine GROUP BY stage, reason
),
rows_read AS (
    SELECT SUM(items) AS items FROM (
        SELECT COUNT(*) AS items FROM annotations
        UNION ALL
        SELECT COUNT(*) AS items FROM quarantine WHERE stage = 'ingest'
    )
),
photographed AS (
    SELECT image_id, MIN(key) AS key, MIN(CASE WHEN reason IS NULL THEN 0 ELSE 1 END) AS unreadable
    FROM images
    GROUP BY image_id
),
matched AS (
    SELECT masks.image_id AS image_id, photographed.key AS key, photographed.unreadable AS unreadable
    FROM masks
    LEFT JOIN photographed ON masks.image_id = photographed.image_id
),
apart AS (
    SELECT splits.split AS split, COUNT(DISTINCT splits.image_id) AS images
    FROM splits
    INNER JOIN masks ON splits.image_id = masks.image_id
    GROUP BY splits.split
),
steps AS (
    SELECT 1 AS position, 'rows read' AS step, 'rows' AS unit, items AS count, NULL AS reason, NULL AS example
    FROM rows_read
    UNION ALL
    SELECT 2 AS position, 'rows refused' AS step, 'rows' AS unit, items AS count, reason, example
    FROM refused WHERE stage = 'ingest'
    UNION ALL
    SELECT 3 AS position, 'rows that passed' AS step, 'rows' AS unit, COUNT(*) AS count, NULL AS reason, NULL AS example
    FROM annotations
    UNION ALL
    SELECT 4 AS position, 'images with rows' AS step, 'images' AS unit, COUNT(DISTINCT image_id) AS count,
        NULL AS reason, NULL AS example
    FROM annotations
    UNION ALL
    SELECT 5 AS position, CONCAT(stage, ' refused') AS step, 'items' AS unit, items AS count, reason, example
    FROM refused WHERE stage <> 'ingest'
    UNION ALL
    SELECT 6 AS position, 'images merged' AS step, 'images' AS unit, COUNT(*) AS count, NULL AS reason, NULL AS example
    FROM masks
    UNION ALL
    SELECT 7 AS position, 'photos missing or unreadable' AS step, 'images' AS unit, COUNT(*) AS count,
        CASE WHEN key IS NULL THEN 'missing_file' ELSE 'unreadable' END AS reason, MIN(image_id) AS example
    FROM matched
    WHERE key IS NULL OR unreadable = 1
    GROUP BY CASE WHEN key IS NULL THEN 'missing_file' ELSE 'unreadable' END
    UNION ALL
    SELECT 8 AS position, 'images with a photo' AS step, 'images' AS unit, COUNT(*) AS count,
        NULL AS reason, NULL AS example
    FROM matched WHERE unreadable = 0
    UNION ALL
    SELECT 9 AS position, 'in a split' AS step, 'images' AS unit, COALESCE(SUM(images), 0) AS count,
        NULL AS reason, NULL AS example
    FROM apart
    UNION ALL
    SELECT
        CASE split WHEN 'train' THEN 10 WHEN 'val' THEN 11 WHEN 'test' THEN 12 ELSE 13 END AS position,
        CONCAT('in ', split) AS step, 'images' AS unit, images AS count, NULL AS reason, NULL AS example
    FROM apart
)
SELECT step, unit, COALESCE(CAST(count AS BIGINT), 0) AS count, reason, example
FROM steps
ORDER BY position, step, count DESC, reason
