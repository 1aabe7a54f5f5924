-- title: Attributes
-- section: Dataset / Attributes
-- question: How often is each attribute given, and which never?
-- grain: one row per attribute, the most frequent first
-- chart: bars label=name value=masks scale=log most=30
-- column attribute_id: its number in AttributesIds
-- column name: the attribute
-- column attribute_group: the group of the label list
-- column masks: masks that carry it
-- column share: share of all masks, 0–1
-- column classes: classes among those masks
WITH tagged AS (
    SELECT class_id, UNNEST(attribute_ids) AS attribute_id FROM annotations WHERE ARRAY_LENGTH(attribute_ids) > 0
),
paired AS (
    SELECT attribute_id, class_id, COUNT(*) AS masks FROM tagged GROUP BY attribute_id, class_id
),
grouped AS (
    SELECT attribute_id, SUM(masks) AS masks, COUNT(*) AS classes FROM paired GROUP BY attribute_id
),
whole AS (
    SELECT COUNT(*) AS masks FROM annotations
)
SELECT
    attributes.attribute_id AS attribute_id,
    attributes.name AS name,
    attributes.supercategory AS attribute_group,
    COALESCE(grouped.masks, 0) AS masks,
    COALESCE(ROUND(grouped.masks * 1.0 / NULLIF(whole.masks, 0), 5), 0.0) AS share,
    COALESCE(grouped.classes, 0) AS classes
FROM attributes
LEFT JOIN grouped ON attributes.attribute_id = grouped.attribute_id
CROSS JOIN whole
ORDER BY masks DESC, attribute_id
