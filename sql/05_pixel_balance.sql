-- title: Pixel balance
-- section: Dataset / Classes
-- question: How many of the pixels does each class hold after the merge?
-- grain: one row per value of the masks, background among them, the most pixels first
-- chart: bars label=name value=share scale=log
-- keep: class_pixel_share item=name value=share
-- column value: the value in the merged masks (0 background, 255 void)
-- column name: the class
-- column pixels: pixels of that value, all images
-- column share: share of all pixels, 0–1
-- column foreground_share: share of the pixels that belong to a class, 0–1; empty for background and void
-- column images: images that show the value
-- column mean_share: mean share of the image in the images that show it, 0–1
WITH merged AS (
    SELECT height * 1.0 * width AS whole, UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
seen AS (
    SELECT
        value,
        SUM(pixels) AS pixels,
        SUM(CASE WHEN pixels > 0 THEN 1 ELSE 0 END) AS images,
        AVG(CASE WHEN pixels > 0 THEN pixels / NULLIF(whole, 0) END) AS mean_share
    FROM merged
    WHERE value IS NOT NULL
    GROUP BY value
),
whole AS (
    SELECT SUM(pixels) AS pixels, SUM(CASE WHEN value > 0 AND value < 255 THEN pixels ELSE 0 END) AS foreground FROM seen
),
named AS (
    SELECT CAST(value AS BIGINT) AS value, name FROM labels
    UNION ALL
    SELECT 0 AS value, 'background' AS name
    UNION ALL
    SELECT 255 AS value, 'void' AS name
)
SELECT
    named.value AS value,
    named.name AS name,
    COALESCE(seen.pixels, 0) AS pixels,
    COALESCE(ROUND(seen.pixels * 1.0 / NULLIF(whole.pixels, 0), 5), 0.0) AS share,
    CASE WHEN named.value > 0 AND named.value < 255
        THEN COALESCE(ROUND(seen.pixels * 1.0 / NULLIF(whole.foreground, 0), 5), 0.0)
    END AS foreground_share,
    COALESCE(seen.images, 0) AS images,
    ROUND(seen.mean_share, 5) AS mean_share
FROM named
LEFT JOIN seen ON named.value = seen.value
CROSS JOIN whole
ORDER BY pixels DESC, value
