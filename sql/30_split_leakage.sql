-- title: Photos in several splits
-- section: Dataset / Splits
-- question: Which photos that are the same, or look the same, lie in different splits?
-- The table `images` groups photos that are alike; the program finds them, SQL cannot compare pictures.
-- grain: one row per photo of a group that lies in several splits, group by group
-- column group_key: the photo by which the group is called
-- column key: the photo
-- column split: its split
-- column alike: how it is like the others of its group: exact (same bytes), near (same look), or first of the group
-- column image_id: its image
WITH placed AS (
    SELECT
        images."group" AS group_key,
        images.key AS key,
        images.image_id AS image_id,
        images.alike AS alike,
        splits.split AS split
    FROM images
    INNER JOIN splits ON images.image_id = splits.image_id
    WHERE images."group" IS NOT NULL
),
leaking AS (
    SELECT group_key FROM placed GROUP BY group_key HAVING COUNT(DISTINCT split) > 1
)
SELECT
    placed.group_key AS group_key,
    placed.key AS key,
    placed.split AS split,
    COALESCE(placed.alike, 'first') AS alike,
    placed.image_id AS image_id
FROM placed
INNER JOIN leaking ON placed.group_key = leaking.group_key
ORDER BY group_key, key, split
