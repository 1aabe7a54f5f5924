-- title: Near duplicates
-- section: Dataset / Duplicates
-- question: Which photos look like another without holding the same bytes?
-- The table `duplicates` is found by the program from small fingerprints of the pictures; SQL cannot compare them.
-- grain: one row per photo that looks like another, the most alike first
-- column key: the photo
-- column of: the photo that it looks like
-- column bits: bits of 64 in which their fingerprints differ
-- column colour: mean difference of their colours, levels of 255
-- column split: the split of the photo
-- column of_split: the split of the other
SELECT
    duplicates.key AS key,
    duplicates."of" AS "of",
    duplicates.bits AS bits,
    ROUND(CAST(duplicates.colour AS DOUBLE), 2) AS colour,
    one.split AS split,
    other.split AS of_split
FROM duplicates
LEFT JOIN splits AS one ON duplicates.image_id = one.image_id
LEFT JOIN splits AS other ON duplicates.of_image_id = other.image_id
WHERE duplicates.kind = 'near'
ORDER BY bits, colour, key, "of"
