-- title: Photos have the annotated size
-- question: Is any photo stored in another size than its masks were drawn for?
-- severity: warn
-- advice: fetch the photos that the annotations belong to; training leaves these images out, because their masks would lie beside the clothes
-- grain: one row per photo of another size, by key
-- column key: the photo
-- column image_id: its image
-- column height: height as stored, pixels
-- column width: width as stored, pixels
-- column annotated_height: height that the annotations give, pixels
-- column annotated_width: width that the annotations give, pixels
-- column fault: turned (the sides are swapped), scaled (the same shape), or another shape
WITH sized AS (
    SELECT image_id, MIN(height) AS height, MIN(width) AS width FROM masks GROUP BY image_id
)
SELECT
    images.key AS key,
    images.image_id AS image_id,
    images.height AS height,
    images.width AS width,
    sized.height AS annotated_height,
    sized.width AS annotated_width,
    CASE
        WHEN images.height = sized.width AND images.width = sized.height THEN 'turned'
        WHEN ABS((images.height * 1.0 / images.width) / (sized.height * 1.0 / sized.width) - 1.0) < 0.01 THEN 'scaled'
        ELSE 'another shape'
    END AS fault
FROM images
INNER JOIN sized ON images.image_id = sized.image_id
WHERE images.height > 0 AND images.width > 0 AND sized.height > 0 AND sized.width > 0
    AND (images.height <> sized.height OR images.width <> sized.width)
ORDER BY key
