-- title: What the merge policy changes
-- section: Dataset / Overlaps
-- question: How much of each class is left under each policy for pixels that several masks claim?
-- The table `policies` is counted by the program, which merges the masks once per policy; SQL cannot.
-- grain: one row per class that occurs, the one that depends most on the policy first
-- chart: bars label=name value=small_on_top value=annotation_order value=first_wins value=void_on_conflict most=20
-- column class_id: ClassId of the CSV
-- column name: the class
-- column annotated_px: pixels of its masks, masks of one image added up
-- column small_on_top: share of them left when the smaller mask lies on top, 0–1
-- column annotation_order: the same when the later row lies on top
-- column first_wins: the same when the earlier row lies on top
-- column void_on_conflict: the same when contested pixels belong to no class
-- column spread: difference between the best and the worst of the four
WITH kept AS (
    SELECT
        class_id,
        MAX(annotated) AS annotated,
        MAX(CASE WHEN policy = 'small-on-top' THEN visible * 1.0 / NULLIF(annotated, 0) END) AS small_on_top,
        MAX(CASE WHEN policy = 'annotation-order' THEN visible * 1.0 / NULLIF(annotated, 0) END) AS annotation_order,
        MAX(CASE WHEN policy = 'first-wins' THEN visible * 1.0 / NULLIF(annotated, 0) END) AS first_wins,
        MAX(CASE WHEN policy = 'void-on-conflict' THEN visible * 1.0 / NULLIF(annotated, 0) END) AS void_on_conflict,
        MAX(visible * 1.0 / NULLIF(annotated, 0)) - MIN(visible * 1.0 / NULLIF(annotated, 0)) AS spread
    FROM policies
    GROUP BY class_id
)
SELECT
    kept.class_id AS class_id,
    labels.name AS name,
    kept.annotated AS annotated_px,
    ROUND(kept.small_on_top, 5) AS small_on_top,
    ROUND(kept.annotation_order, 5) AS annotation_order,
    ROUND(kept.first_wins, 5) AS first_wins,
    ROUND(kept.void_on_conflict, 5) AS void_on_conflict,
    ROUND(kept.spread, 5) AS spread
FROM kept
INNER JOIN labels ON kept.class_id = labels.class_id
WHERE kept.annotated > 0
ORDER BY spread DESC, class_id
