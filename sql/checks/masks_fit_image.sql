-- title: Masks fit their image
-- question: Does any mask reach beyond its image, or claim another size than the rest of its image?
-- severity: block
-- advice: look at the row in the CSV file; Height and Width are often swapped or those of a resized copy
-- grain: one row per annotation row that does not fit, by row
-- column row: row in the CSV file
-- column image_id: the image
-- column class_id: ClassId of the CSV
-- column fault: what does not fit
-- column height: height that the row gives, pixels
-- column width: width that the row gives, pixels
-- column right: right edge of the mask, pixels
-- column bottom: lower edge of the mask, pixels
-- column area_px: pixels of the mask
WITH sized AS (
    SELECT image_id, MIN(height) AS height, MIN(width) AS width FROM masks GROUP BY image_id
),
looked AS (
    SELECT
        annotations.row AS row,
        annotations.image_id AS image_id,
        annotations.class_id AS class_id,
        CASE
            WHEN annotations.right > annotations.width OR annotations.bottom > annotations.height THEN 'reaches beyond the image'
            WHEN annotations.area_px > annotations.height * 1.0 * annotations.width THEN 'more pixels than the image'
            WHEN annotations.area_px > 0 AND (annotations.left >= annotations.right OR annotations.top >= annotations.bottom)
                THEN 'empty box'
            WHEN sized.height <> annotations.height OR sized.width <> annotations.width THEN 'not the size of the merged mask'
        END AS fault,
        annotations.height AS height,
        annotations.width AS width,
        annotations.right AS right,
        annotations.bottom AS bottom,
        annotations.area_px AS area_px
    FROM annotations
    LEFT JOIN sized ON annotations.image_id = sized.image_id
)
SELECT row, image_id, class_id, fault, height, width, right, bottom, area_px
FROM looked
WHERE fault IS NOT NULL
ORDER BY row
