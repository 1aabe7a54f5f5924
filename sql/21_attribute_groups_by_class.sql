-- title: Attribute groups by class
-- section: Dataset / Attributes
-- question: How many attributes of each group does a mask of each class carry?
-- grain: one row per class and group that occur together, by class and group
-- chart: heat row=name column=attribute_group value=per_mask
-- column class_id: ClassId of the CSV
-- column name: the class
-- column attribute_group: the group of attributes
-- column attributes_given: attributes of the group on masks of the class
-- column per_mask: the same per mask of the class, those without any included
WITH tagged AS (
    SELECT class_id, UNNEST(attribute_ids) AS attribute_id FROM annotations WHERE ARRAY_LENGTH(attribute_ids) > 0
),
paired AS (
    SELECT class_id, attribute_id, COUNT(*) AS tags FROM tagged GROUP BY class_id, attribute_id
),
grouped AS (
    SELECT
        paired.class_id AS class_id,
        COALESCE(attributes.supercategory, 'not in the list') AS attribute_group,
        SUM(paired.tags) AS tags
    FROM paired
    LEFT JOIN attributes ON paired.attribute_id = attributes.attribute_id
    GROUP BY paired.class_id, COALESCE(attributes.supercategory, 'not in the list')
),
rowwise AS (
    SELECT class_id, COUNT(*) AS masks FROM annotations GROUP BY class_id
)
SELECT
    grouped.class_id AS class_id,
    labels.name AS name,
    grouped.attribute_group AS attribute_group,
    grouped.tags AS attributes_given,
    ROUND(grouped.tags * 1.0 / rowwise.masks, 4) AS per_mask
FROM grouped
INNER JOIN labels ON grouped.class_id = labels.class_id
INNER JOIN rowwise ON grouped.class_id = rowwise.class_id
ORDER BY class_id, attribute_group
