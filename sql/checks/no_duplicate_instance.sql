-- title: No mask twice
-- question: Does any image hold the same mask of the same class more than once?
-- severity: warn
-- advice: remove the repeated rows from the CSV file; they count twice in every figure and change nothing in the merged masks
-- grain: one row per mask that stands there more than once, the most frequent first
-- column image_id: the image
-- column class_id: ClassId of the CSV
-- column rows: how often the mask stands there
-- column first_row: first of the rows in the CSV file
-- column last_row: last of them
-- column area_px: pixels of the mask
SELECT
    image_id,
    class_id,
    COUNT(*) AS rows,
    MIN(row) AS first_row,
    MAX(row) AS last_row,
    area_px
FROM annotations
WHERE area_px > 0
GROUP BY image_id, class_id, area_px, spans, "left", "top", "right", "bottom"
HAVING COUNT(*) > 1
ORDER BY rows DESC, first_row
