-- title: Mask areas by class
-- section: Dataset / Masks
-- question: How much of its image does a mask of each class usually cover?
-- grain: one row per class, the largest median first, classes without masks last
-- chart: bars label=name value=median scale=log
-- column class_id: ClassId of the CSV
-- column name: the class
-- column masks: masks of the class
-- column lower: a twentieth of its masks cover less than this share of their image, 0–1
-- column quarter: a quarter cover less, 0–1
-- column median: half cover less, 0–1
-- column three_quarters: three quarters cover less, 0–1
-- column upper: nineteen twentieths cover less, 0–1
WITH covered AS (
    SELECT class_id, area_px / (height * 1.0 * width) AS share FROM annotations WHERE area_px > 0
),
grouped AS (
    SELECT
        class_id,
        COUNT(*) AS masks,
        QUANTILE_CONT(share, 0.05) AS lower,
        QUANTILE_CONT(share, 0.25) AS quarter,
        QUANTILE_CONT(share, 0.5) AS median,
        QUANTILE_CONT(share, 0.75) AS three_quarters,
        QUANTILE_CONT(share, 0.95) AS upper
    FROM covered
    GROUP BY class_id
)
SELECT
    labels.class_id AS class_id,
    labels.name AS name,
    COALESCE(grouped.masks, 0) AS masks,
    ROUND(grouped.lower, 6) AS lower,
    ROUND(grouped.quarter, 6) AS quarter,
    ROUND(grouped.median, 6) AS median,
    ROUND(grouped.three_quarters, 6) AS three_quarters,
    ROUND(grouped.upper, 6) AS upper
FROM labels
LEFT JOIN grouped ON labels.class_id = grouped.class_id
ORDER BY COALESCE(median, -1.0) DESC, class_id
