-- title: Exact duplicates
-- section: Dataset / Duplicates
-- question: Which photos hold the same bytes as another?
-- The table `images` groups photos by a hash of their bytes, which the program computes.
-- grain: one row per set of photos with the same bytes, the largest set first
-- column content: BLAKE3 of the bytes, the first 16 characters
-- column photos: photos with these bytes
-- column splits: splits in which they lie
-- column labellings: different sets of classes that their masks show; above 1 the annotations contradict each other
-- column wasted: bytes that all but one of them take
-- column keys: the first four by name
WITH placed AS (
    SELECT
        images.content AS content,
        images.key AS key,
        images.size AS size,
        splits.split AS split,
        ARRAY_TO_STRING(masks.class_ids, ',') AS classes
    FROM images
    LEFT JOIN splits ON images.image_id = splits.image_id
    LEFT JOIN masks ON images.image_id = masks.image_id
    WHERE images.content IS NOT NULL
),
grouped AS (
    SELECT
        content,
        COUNT(DISTINCT key) AS photos,
        COUNT(DISTINCT CASE WHEN split IS NOT NULL THEN split END) AS splits,
        COUNT(DISTINCT CASE WHEN classes IS NOT NULL THEN classes END) AS labellings,
        MAX(size) AS size,
        ARRAY_TO_STRING(ARRAY_AGG(key ORDER BY key LIMIT 4), ', ') AS keys
    FROM placed
    GROUP BY content
)
SELECT
    LEFT(content, 16) AS content,
    photos,
    splits,
    labellings,
    CAST(size * (photos - 1) AS BIGINT) AS wasted,
    keys
FROM grouped
WHERE photos > 1
ORDER BY photos DESC, keys
