-- title: Class balance
-- question: How often does each class occur, how much of it is left after the merge, and does every split hold it?
-- grain: one row per class, the most frequent first
-- column class_id: ClassId of the CSV
-- column name: the class
-- column kind: main item, or part of a garment
-- column masks: annotation rows of the class
-- column share: share of all annotation rows, 0–1
-- column images: images with at least one such row
-- column annotated_px: pixels of its masks before the merge, masks of one image added up
-- column visible_px: pixels after the merge
-- column train: images of the split train with at least one such row
-- column val: the same for val
-- column test: the same for test
WITH annotated AS (
    SELECT
        annotations.class_id AS class_id,
        COUNT(*) AS masks,
        COUNT(DISTINCT annotations.image_id) AS images,
        SUM(annotations.area_px) AS annotated_px,
        COUNT(DISTINCT CASE WHEN splits.split = 'train' THEN annotations.image_id END) AS train,
        COUNT(DISTINCT CASE WHEN splits.split = 'val' THEN annotations.image_id END) AS val,
        COUNT(DISTINCT CASE WHEN splits.split = 'test' THEN annotations.image_id END) AS test
    FROM annotations
    LEFT JOIN splits ON annotations.image_id = splits.image_id
    GROUP BY annotations.class_id
),
spans AS (
    SELECT UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
seen AS (
    SELECT value, SUM(pixels) AS visible_px FROM spans GROUP BY value
),
whole AS (
    SELECT COUNT(*) AS masks FROM annotations
)
SELECT
    labels.class_id AS class_id,
    labels.name AS name,
    labels.kind AS kind,
    COALESCE(annotated.masks, 0) AS masks,
    ROUND(COALESCE(annotated.masks, 0) * 1.0 / whole.masks, 5) AS share,
    COALESCE(annotated.images, 0) AS images,
    COALESCE(annotated.annotated_px, 0) AS annotated_px,
    COALESCE(seen.visible_px, 0) AS visible_px,
    COALESCE(annotated.train, 0) AS train,
    COALESCE(annotated.val, 0) AS val,
    COALESCE(annotated.test, 0) AS test
FROM labels
LEFT JOIN annotated ON labels.class_id = annotated.class_id
LEFT JOIN seen ON labels.value = seen.value
CROSS JOIN whole
ORDER BY masks DESC, class_id
