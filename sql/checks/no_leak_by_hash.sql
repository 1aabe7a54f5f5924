-- title: No photo in two splits
-- question: Do photos with the same bytes lie in different splits?
-- severity: block
-- advice: run split again with the photos at hand; it keeps photos with the same bytes in one split
-- The table `images` holds a hash of each photo's bytes, which the program computes.
-- grain: one row per set of equal photos in several splits, the largest first
-- column content: BLAKE3 of the bytes, the first 16 characters
-- column photos: images with these bytes
-- column splits: splits that hold them
-- column image_id: one of the images, the first by name
-- column other_image_id: another, the last by name
WITH placed AS (
    SELECT images.content AS content, images.image_id AS image_id, splits.split AS split
    FROM images
    INNER JOIN splits ON images.image_id = splits.image_id
    WHERE images.content IS NOT NULL
)
SELECT
    LEFT(content, 16) AS content,
    COUNT(DISTINCT image_id) AS photos,
    COUNT(DISTINCT split) AS splits,
    MIN(image_id) AS image_id,
    MAX(image_id) AS other_image_id
FROM placed
GROUP BY placed.content
HAVING COUNT(DISTINCT split) > 1 AND COUNT(DISTINCT image_id) > 1
ORDER BY photos DESC, content
