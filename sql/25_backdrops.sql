-- title: Backdrops
-- section: Dataset / Photos
-- question: Before which colours are the photos taken?
-- grain: one row per backdrop colour in sixteen steps a channel, the most frequent first; the 24 most frequent
-- chart: bars label=backdrop value=photos
-- column backdrop: the colour, '#rrggbb' with each channel rounded down to a sixteenth; 'none' where less than a quarter of the border has one colour
-- column photos: photos before it
-- column share: share of the photos of which the border is known, 0–1
-- column one_colour: mean share of the border that has the colour, 0–1
-- column example: one of the photos, the first by name
WITH known AS (
    SELECT
        key,
        backdrop_share,
        CASE
            WHEN backdrop_share < 0.25 THEN 'none'
            ELSE LOWER(CONCAT('#', SUBSTR(backdrop, 2, 1), '0', SUBSTR(backdrop, 4, 1), '0', SUBSTR(backdrop, 6, 1), '0'))
        END AS colour
    FROM images
    WHERE backdrop IS NOT NULL AND backdrop_share IS NOT NULL
),
whole AS (
    SELECT COUNT(*) AS photos FROM known
),
grouped AS (
    SELECT colour, COUNT(*) AS photos, AVG(CAST(backdrop_share AS DOUBLE)) AS one_colour, MIN(key) AS example FROM known GROUP BY colour
)
SELECT
    grouped.colour AS backdrop,
    grouped.photos AS photos,
    ROUND(grouped.photos * 1.0 / whole.photos, 5) AS share,
    ROUND(grouped.one_colour, 4) AS one_colour,
    grouped.example AS example
FROM grouped
CROSS JOIN whole
ORDER BY photos DESC, backdrop
LIMIT 24
