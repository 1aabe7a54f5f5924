-- title: Classes that occur together
-- section: Dataset / Co-occurrence
-- question: Which classes occur in one image more often, or less often, than chance would have it?
-- The table `overlaps` is counted by the program from the rows of each image.
-- grain: one row per ordered pair of different classes that occur together somewhere, by class ids
-- chart: heat row=class_a column=class_b value=lift scale=log middle=1
-- column class_a: one class
-- column class_b: the other
-- column images: images that show both
-- column expected: images that would show both if the classes were independent
-- column lift: images ÷ expected: 1 as by chance, 2 twice as often
WITH each AS (
    SELECT class_a AS class_id, images FROM overlaps WHERE class_a = class_b
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
),
paired AS (
    SELECT
        overlaps.class_a AS a,
        overlaps.class_b AS b,
        overlaps.images AS images,
        one.images * 1.0 * other.images / NULLIF(whole.images, 0) AS expected
    FROM overlaps
    INNER JOIN each AS one ON overlaps.class_a = one.class_id
    INNER JOIN each AS other ON overlaps.class_b = other.class_id
    CROSS JOIN whole
    WHERE overlaps.class_a <> overlaps.class_b
)
SELECT
    left_label.name AS class_a,
    right_label.name AS class_b,
    paired.images AS images,
    ROUND(paired.expected, 2) AS expected,
    ROUND(paired.images / NULLIF(paired.expected, 0), 3) AS lift
FROM paired
INNER JOIN labels AS left_label ON paired.a = left_label.class_id
INNER JOIN labels AS right_label ON paired.b = right_label.class_id
ORDER BY paired.a, paired.b
