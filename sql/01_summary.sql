-- title: The data set in figures
-- section: Dataset / Summary
-- question: What is in the data set?
-- grain: one row per figure
-- numbers: label=item value=value
-- keep: totals item=item value=value
-- column item: what is counted
-- column value: the count, or the share (0–1) where the name says so
WITH refused AS (
    SELECT COUNT(*) AS items, SUM(CASE WHEN stage = 'ingest' THEN 1 ELSE 0 END) AS of_ingest FROM quarantine
),
marks AS (
    SELECT row, UNNEST(notes) AS note FROM annotations WHERE ARRAY_LENGTH(notes) > 0
),
repaired AS (
    SELECT COUNT(DISTINCT row) AS rows
    FROM marks
    WHERE note NOT IN ('same_mask_two_classes', 'mask_full', 'mask_tiny', 'empty_mask')
),
annotated AS (
    SELECT
        COUNT(*) AS rows,
        COUNT(DISTINCT class_id) AS classes,
        SUM(CASE WHEN area_px > 0 THEN 1 ELSE 0 END) AS masks
    FROM annotations
),
merged AS (
    SELECT
        COUNT(*) AS images,
        SUM(height * 1.0 * width) AS pixels,
        SUM(conflicted_share * 1.0 * height * width) AS conflicted
    FROM masks
),
background AS (
    SELECT SUM(pixels) AS pixels
    FROM (SELECT UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks)
    WHERE value = 0
),
photographed AS (
    SELECT COUNT(*) AS photos, SUM(CASE WHEN reason IS NOT NULL THEN 1 ELSE 0 END) AS unreadable FROM images
),
figures AS (
    SELECT 1 AS position, 'images' AS item, CAST(images AS DOUBLE) AS value FROM merged
    UNION ALL
    SELECT 2 AS position, 'rows' AS item, annotated.rows * 1.0 + COALESCE(refused.of_ingest, 0) AS value
    FROM annotated CROSS JOIN refused
    UNION ALL
    SELECT 3 AS position, 'masks' AS item, COALESCE(masks, 0) * 1.0 AS value FROM annotated
    UNION ALL
    SELECT 4 AS position, 'masks per image' AS item, ROUND(annotated.masks * 1.0 / NULLIF(merged.images, 0), 3) AS value
    FROM annotated CROSS JOIN merged
    UNION ALL
    SELECT 5 AS position, 'classes seen' AS item, CAST(classes AS DOUBLE) AS value FROM annotated
    UNION ALL
    SELECT 6 AS position, 'photos' AS item, CAST(photos AS DOUBLE) AS value FROM photographed
    UNION ALL
    SELECT 7 AS position, 'unreadable photos' AS item, COALESCE(unreadable, 0) * 1.0 AS value FROM photographed
    UNION ALL
    SELECT 8 AS position, 'repaired rows' AS item, CAST(rows AS DOUBLE) AS value FROM repaired
    UNION ALL
    SELECT 9 AS position, 'quarantined' AS item, CAST(items AS DOUBLE) AS value FROM refused
    UNION ALL
    SELECT 10 AS position, 'background, share of pixels' AS item,
        ROUND(COALESCE(background.pixels, 0) * 1.0 / NULLIF(merged.pixels, 0), 5) AS value
    FROM merged CROSS JOIN background
    UNION ALL
    SELECT 11 AS position, 'conflicted, share of pixels' AS item, ROUND(conflicted / NULLIF(pixels, 0), 5) AS value
    FROM merged
)
SELECT item, value FROM figures ORDER BY position
