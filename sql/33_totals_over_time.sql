-- title: Totals over time
-- section: Dataset / Drift
-- question: How have the numbers of rows, images and photos changed from run to run?
-- grain: one row per kept run, the oldest first
-- chart: lines x=snapshot value=rows value=images value=photos
-- column snapshot: when the run kept its figures (UTC)
-- column role: now, last, baseline, or past
-- column rows: rows read
-- column images: images merged
-- column photos: photos found
-- column quarantined: refused items
SELECT
    snapshot,
    MIN(role) AS role,
    MAX(CASE WHEN item = 'rows' THEN value END) AS rows,
    MAX(CASE WHEN item = 'images' THEN value END) AS images,
    MAX(CASE WHEN item = 'photos' THEN value END) AS photos,
    MAX(CASE WHEN item = 'quarantined' THEN value END) AS quarantined
FROM stats
WHERE figure = 'totals'
GROUP BY snapshot
ORDER BY snapshot
