-- title: What follows from a class
-- section: Dataset / Co-occurrence
-- question: If an image shows one class, which other can be expected most surely beyond chance?
-- The table `overlaps` is counted by the program from the rows of each image.
-- grain: one row per rule with a lift above 1 that holds in at least 2 images and a thousandth of all; the strongest 40
-- chart: bars label=rule value=lift scale=log
-- column rule: class seen → class to expect
-- column images: images that show both
-- column support: share of all images, 0–1
-- column confidence: share of the images with the first class that show the second, too, 0–1
-- column lift: confidence ÷ share of all images with the second class
WITH each AS (
    SELECT class_a AS class_id, images FROM overlaps WHERE class_a = class_b
),
whole AS (
    SELECT COUNT(*) AS images FROM masks
),
ruled AS (
    SELECT
        overlaps.class_a AS a,
        overlaps.class_b AS b,
        overlaps.images AS images,
        overlaps.images * 1.0 / NULLIF(whole.images, 0) AS support,
        overlaps.images * 1.0 / NULLIF(one.images, 0) AS confidence,
        overlaps.images * 1.0 * whole.images / NULLIF(one.images * 1.0 * other.images, 0) AS lift
    FROM overlaps
    INNER JOIN each AS one ON overlaps.class_a = one.class_id
    INNER JOIN each AS other ON overlaps.class_b = other.class_id
    CROSS JOIN whole
    WHERE overlaps.class_a <> overlaps.class_b AND overlaps.images >= 2
)
SELECT
    CONCAT(seen.name, ' → ', expected.name) AS rule,
    ruled.images AS images,
    ROUND(ruled.support, 5) AS support,
    ROUND(ruled.confidence, 5) AS confidence,
    ROUND(ruled.lift, 3) AS lift
FROM ruled
INNER JOIN labels AS seen ON ruled.a = seen.class_id
INNER JOIN labels AS expected ON ruled.b = expected.class_id
WHERE ruled.support >= 0.001 AND ruled.lift > 1.0
ORDER BY ROUND(ruled.lift, 9) DESC, ROUND(ruled.confidence, 9) DESC, ruled.a, ruled.b
LIMIT 40
