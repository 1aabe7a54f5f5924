-- title: Mask areas
-- section: Dataset / Masks
-- question: How much of its image does a mask cover?
-- grain: one row per halving of the image's area, the smallest masks first
-- chart: columns x=area value=main value=parts
-- keep: mask_area_share item=area value=share
-- column area: range of the mask's area as a fraction of its image; the upper bound belongs to it
-- column masks: masks in it
-- column share: share of all masks, 0–1
-- column main: masks of main items in it
-- column parts: masks of parts of garments in it
WITH halved AS (
    SELECT
        CASE WHEN class_id < 27 THEN 1 ELSE 0 END AS main,
        CAST(LEAST(GREATEST(FLOOR(LOG2(height * 1.0 * width / area_px)), 0.0), 20.0) AS BIGINT) AS halvings
    FROM annotations
    WHERE area_px > 0
),
grouped AS (
    SELECT halvings, COUNT(*) AS masks, SUM(main) AS main FROM halved GROUP BY halvings
),
-- The numbers of halvings, so that one without masks has a row, too.
steps AS (
    SELECT CAST(class_id AS BIGINT) AS step FROM labels WHERE class_id <= 20
),
whole AS (
    SELECT COALESCE(SUM(masks), 0) AS masks FROM grouped
)
SELECT
    CASE
        WHEN steps.step = 20 THEN '≤ 1/1048576'
        WHEN steps.step = 0 THEN '1/2–1'
        ELSE CONCAT(
            '1/', CAST(CAST(POW(2.0, steps.step + 1) AS BIGINT) AS VARCHAR),
            '–1/', CAST(CAST(POW(2.0, steps.step) AS BIGINT) AS VARCHAR))
    END AS area,
    COALESCE(grouped.masks, 0) AS masks,
    COALESCE(ROUND(grouped.masks * 1.0 / NULLIF(whole.masks, 0), 5), 0.0) AS share,
    COALESCE(grouped.main, 0) AS main,
    COALESCE(CAST(grouped.masks AS BIGINT) - grouped.main, 0) AS parts
FROM steps
LEFT JOIN grouped ON steps.step = grouped.halvings
CROSS JOIN whole
ORDER BY steps.step DESC
