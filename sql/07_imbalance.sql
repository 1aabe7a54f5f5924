-- title: Imbalance
-- section: Dataset / Classes
-- question: How unequally are the masks spread over the classes?
-- grain: one row per class, the rarest first: the points of a Lorenz curve, with the figures of the whole in every row
-- chart: lines x=classes_share value=masks_share value=pixels_share value=equal
-- column name: the class that is added at this point
-- column classes_share: share of the 46 classes up to this point, 0–1
-- column masks_share: share of the masks that they hold, 0–1
-- column pixels_share: share of the annotated pixels that as many classes with the fewest pixels hold, 0–1
-- column equal: what they would hold if all classes were equal, 0–1
-- column gini: Gini coefficient of the masks, 0 (equal) to 1 (all in one class)
-- column effective_classes: effective number of classes: e to the entropy of the mask shares
WITH rowwise AS (
    SELECT class_id, COUNT(*) AS masks, SUM(area_px) AS pixels FROM annotations GROUP BY class_id
),
counted AS (
    SELECT
        labels.class_id AS class_id,
        labels.name AS name,
        COALESCE(rowwise.masks, 0) * 1.0 AS masks,
        COALESCE(rowwise.pixels, 0) * 1.0 AS pixels
    FROM labels
    LEFT JOIN rowwise ON labels.class_id = rowwise.class_id
),
whole AS (
    SELECT COUNT(*) AS classes, SUM(masks) AS masks, SUM(pixels) AS pixels FROM counted
),
by_masks AS (
    SELECT
        name,
        masks,
        ROW_NUMBER() OVER (ORDER BY masks, class_id) AS place,
        SUM(masks) OVER (ORDER BY masks, class_id) AS masks_up_to
    FROM counted
),
by_pixels AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY pixels, class_id) AS place,
        SUM(pixels) OVER (ORDER BY pixels, class_id) AS pixels_up_to
    FROM counted
),
spread AS (
    SELECT
        2.0 * SUM(by_masks.place * by_masks.masks / whole.masks) / MAX(whole.classes)
            - (MAX(whole.classes) + 1.0) / MAX(whole.classes) AS gini,
        EXP(-SUM(CASE WHEN by_masks.masks > 0
            THEN by_masks.masks / whole.masks * LN(by_masks.masks / whole.masks) ELSE 0.0 END)) AS effective_classes
    FROM by_masks
    CROSS JOIN whole
    WHERE whole.masks > 0
)
SELECT
    by_masks.name AS name,
    ROUND(by_masks.place * 1.0 / whole.classes, 5) AS classes_share,
    COALESCE(ROUND(by_masks.masks_up_to / NULLIF(whole.masks, 0), 5), 0.0) AS masks_share,
    COALESCE(ROUND(by_pixels.pixels_up_to / NULLIF(whole.pixels, 0), 5), 0.0) AS pixels_share,
    ROUND(by_masks.place * 1.0 / whole.classes, 5) AS equal,
    ROUND(spread.gini, 5) AS gini,
    ROUND(spread.effective_classes, 2) AS effective_classes
FROM by_masks
INNER JOIN by_pixels ON by_masks.place = by_pixels.place
CROSS JOIN whole
CROSS JOIN spread
ORDER BY by_masks.place
