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
    SELECT
        shown.class_id AS class_id,
        COUNT(*) AS images,
        SUM(CASE WHEN splits.split = 'train' THEN 1 ELSE 0 END) AS train,
        SUM(CASE WHEN splits.split = 'val' THEN 1 ELSE 0 END) AS val,
        SUM(CASE WHEN splits.split = 'test' THEN 1 ELSE 0 END) AS test
    FROM shown
    INNER JOIN splits ON shown.image_id = splits.image_id
    GROUP BY shown.class_id
    HAVING COUNT(*) >= 3
),
held AS (
    SELECT split FROM splits GROUP BY split
)
SELECT
    placed.class_id AS class_id,
    labels.name AS name,
    held.split AS split,
    placed.images AS images
FROM placed
CROSS JOIN held
LEFT JOIN labels ON placed.class_id = labels.class_id
WHERE CASE held.split WHEN 'train' THEN placed.train WHEN 'val' THEN placed.val WHEN 'test' THEN placed.test END = 0
ORDER BY images DESC, class_id, split
