-- title: Splits are disjoint
-- question: Is any image in more than one split?
-- severity: block
-- advice: run split again; what a model is tested on must not be what it was trained on
-- grain: one row per image in several splits, the most splits first
-- column image_id: the image
-- column splits: splits that hold it
-- column first_split: one of them, the first by name
-- column last_split: another, the last by name
SELECT
    image_id,
    COUNT(DISTINCT split) AS splits,
    MIN(split) AS first_split,
    MAX(split) AS last_split
FROM splits
GROUP BY image_id
HAVING COUNT(DISTINCT split) > 1
ORDER BY splits DESC, image_id
