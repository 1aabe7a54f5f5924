-- title: Class balance
-- section: Dataset / Classes
-- question: How often does each class occur, how much of it is left after the merge, and does every split hold it?
-- grain: one row per class, the most frequent first
-- chart: bars label=name value=masks scale=log
-- keep: class_masks item=name value=masks
-- keep: class_share item=name value=share
-- column class_id: ClassId of the CSV
-- column name: the class
-- column kind: main item, or part of a garment
-- column masks: annotation rows of the class
-- column share: share of all annotation rows, 0–1
-- column images: images with at least one such row
-- column annotated_px: pixels of its masks before the merge, masks of one image added up
-- column visible_px: pixels after the merge
-- column visible_share: visible_px as a share of annotated_px, 0–1
-- column described: share of its rows that carry an attribute, 0–1
-- column train: images of the split train with at least one such row
-- column val: the same for val
-- column test: the same for test
WITH rowwise AS (
    SELECT
        class_id,
        COUNT(*) AS masks,
        SUM(area_px) AS annotated_px,
        SUM(CASE WHEN ARRAY_LENGTH(attribute_ids) > 0 THEN 1 ELSE 0 END) AS described
    FROM annotations
    GROUP BY class_id
),
shown AS (
    SELECT image_id, class_id FROM annotations GROUP BY image_id, class_id
),
imagewise AS (
    SELECT
        shown.class_id AS class_id,
        COUNT(*) AS images,
        SUM(CASE WHEN splits.split = 'train' THEN 1 ELSE 0 END) AS train,
        SUM(CASE WHEN splits.split = 'val' THEN 1 ELSE 0 END) AS val,
        SUM(CASE WHEN splits.split = 'test' THEN 1 ELSE 0 END) AS test
    FROM shown
    LEFT JOIN splits ON shown.image_id = splits.image_id
    GROUP BY shown.class_id
),
merged AS (
    SELECT UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
seen AS (
    SELECT value, SUM(pixels) AS visible_px FROM merged GROUP BY value
),
whole AS (
    SELECT COUNT(*) AS masks FROM annotations
)
SELECT
    labels.class_id AS class_id,
    labels.name AS name,
    labels.kind AS kind,
    COALESCE(rowwise.masks, 0) AS masks,
    COALESCE(ROUND(rowwise.masks * 1.0 / NULLIF(whole.masks, 0), 5), 0.0) AS share,
    COALESCE(imagewise.images, 0) AS images,
    COALESCE(rowwise.annotated_px, 0) AS annotated_px,
    COALESCE(seen.visible_px, 0) AS visible_px,
    ROUND(COALESCE(seen.visible_px, 0) * 1.0 / NULLIF(rowwise.annotated_px, 0), 5) AS visible_share,
    ROUND(rowwise.described * 1.0 / NULLIF(rowwise.masks, 0), 5) AS described,
    COALESCE(imagewise.train, 0) AS train,
    COALESCE(imagewise.val, 0) AS val,
    COALESCE(imagewise.test, 0) AS test
FROM labels
LEFT JOIN rowwise ON labels.class_id = rowwise.class_id
LEFT JOIN imagewise ON labels.class_id = imagewise.class_id
LEFT JOIN seen ON labels.value = seen.value
CROSS JOIN whole
ORDER BY masks DESC, class_id
