-- title: Class ids are known
-- question: Does any row or merged mask hold a class that the label list does not name?
-- severity: block
-- advice: run ingest again with the label list that belongs to the CSV file; a mask of an unknown class cannot be trained on
-- grain: one row per unknown value and table, the most frequent first
-- column found_in: annotations (ClassId) or masks (value of the class map)
-- column id: the unknown ClassId or value
-- column items: rows or images that hold it
-- column example: one of the images, the first by name
WITH in_rows AS (
    SELECT class_id, COUNT(*) AS items, MIN(image_id) AS example FROM annotations GROUP BY class_id
),
merged AS (
    SELECT image_id, UNNEST(class_ids) AS value FROM masks
),
in_masks AS (
    SELECT value, COUNT(*) AS items, MIN(image_id) AS example
    FROM merged
    WHERE value > 0 AND value < 255
    GROUP BY value
),
unknown AS (
    SELECT 'annotations' AS found_in, CAST(in_rows.class_id AS BIGINT) AS id, in_rows.items AS items, in_rows.example AS example
    FROM in_rows
    LEFT JOIN labels ON in_rows.class_id = labels.class_id
    WHERE labels.name IS NULL
    UNION ALL
    SELECT 'masks' AS found_in, CAST(in_masks.value AS BIGINT) AS id, in_masks.items AS items, in_masks.example AS example
    FROM in_masks
    LEFT JOIN labels ON in_masks.value = labels.value
    WHERE labels.name IS NULL
)
SELECT found_in, id, items, example FROM unknown ORDER BY items DESC, found_in, id
