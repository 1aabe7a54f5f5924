-- title: Masks per image
-- section: Dataset / Masks
-- question: How many masks, and how many main items among them, does an image have?
-- grain: one row per number of masks, ascending; the last row takes all that have more
-- chart: columns x=masks value=images value=main_images
-- keep: masks_per_image item=masks value=share
-- column masks: number of masks
-- column images: images with so many masks
-- column share: share of all images, 0–1
-- column main_images: images with so many masks of main items
WITH imagewise AS (
    SELECT
        image_id,
        SUM(CASE WHEN area_px > 0 THEN 1 ELSE 0 END) AS masks,
        SUM(CASE WHEN area_px > 0 AND class_id < 27 THEN 1 ELSE 0 END) AS main
    FROM annotations
    GROUP BY image_id
),
capped AS (
    SELECT CAST(LEAST(masks, 30) AS BIGINT) AS masks, CAST(LEAST(main, 30) AS BIGINT) AS main FROM imagewise
),
of_masks AS (
    SELECT masks, COUNT(*) AS images FROM capped GROUP BY masks
),
of_main AS (
    SELECT main, COUNT(*) AS images FROM capped GROUP BY main
),
-- The numbers themselves, so that one without images has a row, too.
steps AS (
    SELECT CAST(class_id AS BIGINT) AS step FROM labels WHERE class_id <= 30
),
whole AS (
    SELECT COUNT(*) AS images FROM imagewise
)
SELECT
    CASE WHEN steps.step = 30 THEN '30 or more' ELSE CAST(steps.step AS VARCHAR) END AS masks,
    COALESCE(of_masks.images, 0) AS images,
    COALESCE(ROUND(of_masks.images * 1.0 / NULLIF(whole.images, 0), 5), 0.0) AS share,
    COALESCE(of_main.images, 0) AS main_images
FROM steps
LEFT JOIN of_masks ON steps.step = of_masks.masks
LEFT JOIN of_main ON steps.step = of_main.main
CROSS JOIN whole
ORDER BY steps.step
