-- title: Areas sum to the image
-- question: Do the classes of any merged mask, background included, hold more or fewer pixels than the image has?
-- severity: block
-- advice: run merge again for these images; the table of masks is damaged or was written by something else
-- grain: one row per image whose areas do not sum up, the largest difference first
-- column image_id: the image
-- column pixels: pixels of the image
-- column summed: pixels of all its classes and the background
-- column difference: summed − pixels
WITH summed AS (
    SELECT
        image_id,
        CAST(height AS BIGINT) * CAST(width AS BIGINT) AS pixels,
        COALESCE(CAST(ARRAY_SUM(class_pixels) AS BIGINT), 0) AS summed
    FROM masks
)
SELECT image_id, pixels, summed, summed - pixels AS difference
FROM summed
WHERE summed <> pixels
ORDER BY ABS(summed - pixels) DESC, image_id
