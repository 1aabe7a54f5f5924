-- title: Images that came, went or changed
-- section: Dataset / Drift
-- question: How many images are new, gone, or annotated otherwise than in the version before?
-- grain: one row per kind of change
-- chart: bars label=change value=images
-- column change: new, removed, or changed (another number of rows, class, area or size)
-- column images: how many
-- column rows_now: annotation rows of these images now
-- column rows_before: annotation rows of these images then
-- column examples: the first five of them by id
-- The program compares the two versions of the annotations and gives their differences as the table changes.
SELECT
    change,
    COUNT(*) AS images,
    CAST(SUM(rows_now * 1.0) AS BIGINT) AS rows_now,
    CAST(SUM(rows_before * 1.0) AS BIGINT) AS rows_before,
    ARRAY_TO_STRING(ARRAY_AGG(image_id ORDER BY image_id LIMIT 5), ', ') AS examples
FROM changes
GROUP BY change
ORDER BY change
