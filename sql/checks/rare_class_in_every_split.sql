-- title: Every class in every split
-- question: Is a class that occurs in at least three images absent from a split?
-- severity: warn
-- advice: run split again with another seed, or give the smaller splits a larger share; a class that a split lacks is not measured there
-- grain: one row per class and split that lacks it, the most frequent class first
-- column class_id: ClassId of the CSV
-- column name: the class
-- column split: the split that lacks it
-- column images: images in other splits that show it
WITH shown AS (
    SELECT image_id, class_id FROM annotations GROUP BY image_id, class_id
),
placed AS (
    SELECT shown.class_id AS class_id, splits.split AS split, COUNT(*) AS images
    FROM shown
    INNER JOIN splits ON shown.image_id = splits.image_id
    GROUP BY shown.class_id, splits.split
),
frequent AS (
    SELECT class_id, SUM(images) AS images FROM placed GROUP BY class_id HAVING SUM(images) >= 3
),
held AS (
    SELECT split FROM splits GROUP BY split
),
wanted AS (
    SELECT frequent.class_id AS class_id, frequent.images AS images, held.split AS split FROM frequent CROSS JOIN held
)
SELECT
    wanted.class_id AS class_id,
    labels.name AS name,
    wanted.split AS split,
    wanted.images AS images
FROM wanted
LEFT JOIN placed ON wanted.class_id = placed.class_id AND wanted.split = placed.split
LEFT JOIN labels ON wanted.class_id = labels.class_id
WHERE placed.images IS NULL
ORDER BY images DESC, class_id, split
