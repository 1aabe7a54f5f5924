-- title: No look-alike in two splits
-- question: Do photos that look the same without holding the same bytes lie in different splits?
-- severity: warn
-- advice: look at the pairs; where they show one and the same scene, run split again with the photos at hand, so that they stay together
-- The table `images` groups photos that are alike; the program finds them, SQL cannot compare pictures.
-- grain: one row per group in several splits, the largest first
-- column group_key: the photo by which the group is called
-- column photos: photos of the group that lie in a split
-- column splits: splits that hold them
-- column key: one of the photos, the first by name
-- column other_key: another, the last by name
WITH placed AS (
    SELECT
        images."group" AS group_key,
        images.key AS key,
        COALESCE(images.content, images.key) AS content,
        splits.split AS split
    FROM images
    INNER JOIN splits ON images.image_id = splits.image_id
    WHERE images."group" IS NOT NULL
)
SELECT
    group_key,
    COUNT(DISTINCT key) AS photos,
    COUNT(DISTINCT split) AS splits,
    MIN(key) AS key,
    MAX(key) AS other_key
FROM placed
GROUP BY group_key
HAVING COUNT(DISTINCT split) > 1 AND COUNT(DISTINCT content) > 1
ORDER BY photos DESC, group_key
