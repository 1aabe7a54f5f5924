-- title: Forms of the photos
-- section: Dataset / Photos
-- question: In which formats, colours, depths, orientations, profiles and qualities do the photos come?
-- grain: one row per property and form, the most frequent form of each property first
-- column property: what is looked at
-- column form: the form found
-- column photos: photos of that form
-- column share: share of the photos of which the property is known, 0–1
-- column example: one of the photos, the first by name
WITH readable AS (
    SELECT key, format, colour, bits, orientation, profile, jpeg_quality FROM images WHERE reason IS NULL
),
forms AS (
    SELECT 1 AS position, 'format' AS property, COALESCE(format, 'unknown') AS form, key FROM readable
    UNION ALL
    SELECT 2 AS position, 'colour' AS property, colour AS form, key FROM readable
    UNION ALL
    SELECT 3 AS position, 'bits per channel' AS property, CAST(bits AS VARCHAR) AS form, key FROM readable
    UNION ALL
    SELECT 4 AS position, 'orientation' AS property, CASE orientation WHEN 1 THEN '1 upright' WHEN 2 THEN '2 mirrored' WHEN 3 THEN '3 upside down' WHEN 4 THEN '4 upside down, mirrored' WHEN 5 THEN '5 lying, mirrored' WHEN 6 THEN '6 turn right' WHEN 7 THEN '7 lying, mirrored' WHEN 8 THEN '8 turn left' ELSE CAST(orientation AS VARCHAR) END AS form, key FROM readable
    UNION ALL
    SELECT 5 AS position, 'colour profile' AS property, COALESCE(profile, 'none') AS form, key FROM readable
    UNION ALL
    SELECT 6 AS position, 'JPEG quality' AS property, CASE WHEN jpeg_quality < 50 THEN 'below 50' WHEN jpeg_quality < 70 THEN '50–69' WHEN jpeg_quality < 80 THEN '70–79' WHEN jpeg_quality < 90 THEN '80–89' WHEN jpeg_quality < 95 THEN '90–94' WHEN jpeg_quality <= 100 THEN '95–100' END AS form, key FROM readable
),
grouped AS (
    SELECT position, property, form, COUNT(*) AS photos, MIN(key) AS example
    FROM forms
    WHERE form IS NOT NULL
    GROUP BY position, property, form
),
whole AS (
    SELECT position, SUM(photos) AS photos FROM grouped GROUP BY position
)
SELECT
    grouped.property AS property,
    grouped.form AS form,
    grouped.photos AS photos,
    ROUND(grouped.photos * 1.0 / whole.photos, 5) AS share,
    grouped.example AS example
FROM grouped
INNER JOIN whole ON grouped.position = whole.position
ORDER BY grouped.position, photos DESC, form
