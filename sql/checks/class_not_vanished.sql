-- title: No class has vanished
-- question: Did a class with at least ten masks in the last run lose them all?
-- severity: block
-- advice: see whether the CSV file names its classes as before; a changed label list or a lost part of the file shows like this; if the class is meant to be gone, accept this check once with --accept class_not_vanished
-- grain: one row per class that vanished, the most frequent first
-- column name: the class
-- column last: masks in the last run of other data
WITH kept AS (
    SELECT
        item,
        MAX(CASE WHEN role = 'now' THEN value END) AS now_value,
        MAX(CASE WHEN role = 'last' THEN value END) AS last_value
    FROM stats
    WHERE figure = 'class_masks'
    GROUP BY item
),
counted AS (
    SELECT COUNT(*) AS figures FROM stats WHERE figure = 'class_masks' AND role = 'now'
)
SELECT kept.item AS name, CAST(kept.last_value AS BIGINT) AS last
FROM kept
CROSS JOIN counted
WHERE counted.figures > 0 AND kept.last_value >= 10 AND COALESCE(kept.now_value, 0.0) = 0
ORDER BY last DESC, name
