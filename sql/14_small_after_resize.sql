-- title: Masks smaller than a patch
-- section: Dataset / Masks
-- question: How many masks of each class are smaller than one patch of 16 × 16 pixels when the image is brought into 2048 × 512?
-- grain: one row per class, the largest share first, classes without masks last
-- chart: bars label=name value=small_share
-- column class_id: ClassId of the CSV
-- column name: the class
-- column masks: masks of the class
-- column small: masks of fewer than 256 pixels after the image is scaled by min(2048 ÷ longer side, 512 ÷ shorter side)
-- column small_share: share of the class's masks, 0–1
-- column side_median: median of √area after scaling, pixels
WITH scaled AS (
    SELECT
        class_id,
        area_px * POW(LEAST(2048.0 / GREATEST(height, width), 512.0 / LEAST(height, width)), 2.0) AS area
    FROM annotations
    WHERE area_px > 0
),
grouped AS (
    SELECT
        class_id,
        COUNT(*) AS masks,
        SUM(CASE WHEN area < 256.0 THEN 1 ELSE 0 END) AS small,
        MEDIAN(SQRT(area)) AS side
    FROM scaled
    GROUP BY class_id
)
SELECT
    labels.class_id AS class_id,
    labels.name AS name,
    COALESCE(grouped.masks, 0) AS masks,
    COALESCE(grouped.small, 0) AS small,
    ROUND(grouped.small * 1.0 / grouped.masks, 5) AS small_share,
    ROUND(grouped.side, 1) AS side_median
FROM labels
LEFT JOIN grouped ON labels.class_id = grouped.class_id
ORDER BY COALESCE(small_share, -1.0) DESC, class_id
