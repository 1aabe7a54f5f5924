-- title: Every image has a mask
-- question: Is any image left without a single pixel of a class?
-- severity: warn
-- advice: annotate these images, or take them out; if they are meant to be empty, nothing is wrong
-- grain: one row per image without a class, by name
-- column image_id: the image
-- column height: pixels
-- column width: pixels
-- column rows: annotation rows that were merged into it
WITH merged AS (
    SELECT image_id, UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
shown AS (
    SELECT image_id FROM merged WHERE value > 0 AND pixels > 0 GROUP BY image_id
)
SELECT masks.image_id AS image_id, masks.height AS height, masks.width AS width, masks.rows AS rows
FROM masks
LEFT JOIN (SELECT image_id, 1 AS found FROM shown) AS shown_ids ON masks.image_id = shown_ids.image_id
WHERE shown_ids.found IS NULL
ORDER BY image_id
