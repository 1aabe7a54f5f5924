-- title: Overlaps
-- section: Dataset / Overlaps
-- question: Which classes lie on which, and how much of the lower one do they hide under the policy of the masks?
-- The table `overlaps` is counted by the program from the spans of the masks; SQL cannot intersect them.
-- grain: one row per ordered pair of classes that share pixels somewhere, the most hidden pixels first
-- chart: heat row=hidden_class column=hiding_class value=hidden_share
-- column hidden_class: the class that lies below
-- column hiding_class: the class that lies on it; the same class: pixels claimed by several of its masks
-- column images: images that show both
-- column overlapping: images in which they share pixels
-- column overlapping_share: share of those images, 0–1
-- column pixels: pixels claimed by both
-- column hidden: pixels of the lower class over which the upper one lies after the merge
-- column hidden_share: hidden as a share of all annotated pixels of the lower class, 0–1
WITH annotated AS (
    SELECT class_id, SUM(area_px) AS pixels FROM annotations GROUP BY class_id
)
SELECT
    below.name AS hidden_class,
    above.name AS hiding_class,
    overlaps.images AS images,
    overlaps.overlapping AS overlapping,
    ROUND(overlaps.overlapping * 1.0 / NULLIF(overlaps.images, 0), 5) AS overlapping_share,
    overlaps.pixels AS pixels,
    overlaps.hidden AS hidden,
    ROUND(overlaps.hidden * 1.0 / NULLIF(annotated.pixels, 0), 5) AS hidden_share
FROM overlaps
INNER JOIN labels AS below ON overlaps.class_a = below.class_id
INNER JOIN labels AS above ON overlaps.class_b = above.class_id
LEFT JOIN annotated ON overlaps.class_a = annotated.class_id
WHERE overlaps.overlapping > 0
ORDER BY hidden DESC, pixels DESC, overlaps.class_a, overlaps.class_b
