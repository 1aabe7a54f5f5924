-- title: Photos to look at
-- section: Dataset / Photos
-- question: Which photos are dark, light, blurred, empty, oddly shaped, or of another size than annotated?
-- grain: one row per problem, the most photos first; problems without photos last
-- chart: bars label=problem value=photos
-- column problem: what is odd
-- column rule: when a photo counts
-- column photos: photos that do
-- column share: share of all photos, 0–1
-- column examples: the first three by name
WITH sized AS (
    SELECT image_id, CAST(MIN(height) AS BIGINT) AS height, CAST(MIN(width) AS BIGINT) AS width FROM masks GROUP BY image_id
),
readable AS (
    SELECT
        key, image_id, brightness, sharpness, entropy, alike,
        CAST(height AS BIGINT) AS height,
        CAST(width AS BIGINT) AS width
    FROM images
    WHERE reason IS NULL AND height > 0 AND width > 0
),
usual AS (
    SELECT MEDIAN(height * 1.0 * width) AS pixels FROM readable
),
found AS (
    SELECT 1 AS position, key FROM images WHERE reason IS NOT NULL
    UNION ALL
    SELECT 2 AS position, readable.key AS key
    FROM readable INNER JOIN sized ON readable.image_id = sized.image_id
    WHERE readable.height <> sized.height OR readable.width <> sized.width
    UNION ALL
    SELECT 3 AS position, key FROM readable WHERE brightness < 0.15
    UNION ALL
    SELECT 4 AS position, key FROM readable WHERE brightness > 0.95
    UNION ALL
    SELECT 5 AS position, key FROM readable WHERE sharpness < 30.0
    UNION ALL
    SELECT 6 AS position, key FROM readable WHERE entropy < 4.0
    UNION ALL
    SELECT 7 AS position, key FROM readable WHERE height > 3 * width OR width > 3 * height
    UNION ALL
    SELECT 8 AS position, readable.key AS key
    FROM readable CROSS JOIN usual
    WHERE readable.height * 1.0 * readable.width < usual.pixels / 10.0 OR readable.height * 1.0 * readable.width > usual.pixels * 10.0
    UNION ALL
    SELECT 9 AS position, key FROM readable WHERE alike = 'exact'
    UNION ALL
    SELECT 10 AS position, key FROM readable WHERE alike = 'near'
),
problems AS (
    SELECT 1 AS position, 'unreadable' AS problem, 'no decoder reads it' AS rule
    UNION ALL SELECT 2 AS position, 'not the annotated size' AS problem, 'height or width differs from that of the masks' AS rule
    UNION ALL SELECT 3 AS position, 'dark' AS problem, 'mean brightness below 0.15' AS rule
    UNION ALL SELECT 4 AS position, 'light' AS problem, 'mean brightness above 0.95' AS rule
    UNION ALL SELECT 5 AS position, 'blurred' AS problem, 'variance of the Laplacian below 30' AS rule
    UNION ALL SELECT 6 AS position, 'little information' AS problem, 'entropy below 4 bits' AS rule
    UNION ALL SELECT 7 AS position, 'odd aspect' AS problem, 'one side more than three times the other' AS rule
    UNION ALL SELECT 8 AS position, 'odd size' AS problem, 'ten times more or fewer pixels than the median' AS rule
    UNION ALL SELECT 9 AS position, 'exact duplicate' AS problem, 'the same bytes as another photo' AS rule
    UNION ALL SELECT 10 AS position, 'near duplicate' AS problem, 'looks like another photo' AS rule
),
grouped AS (
    SELECT position, COUNT(*) AS photos, ARRAY_TO_STRING(ARRAY_AGG(key ORDER BY key LIMIT 3), ', ') AS examples
    FROM found
    GROUP BY position
),
whole AS (
    SELECT COUNT(*) AS photos FROM images
)
SELECT
    problems.problem AS problem,
    problems.rule AS rule,
    COALESCE(grouped.photos, 0) AS photos,
    COALESCE(ROUND(grouped.photos * 1.0 / NULLIF(whole.photos, 0), 5), 0.0) AS share,
    grouped.examples AS examples
FROM problems
LEFT JOIN grouped ON problems.position = grouped.position
CROSS JOIN whole
ORDER BY photos DESC, problems.position
