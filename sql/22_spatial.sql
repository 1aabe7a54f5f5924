-- title: Where the classes lie
-- section: Dataset / Masks
-- question: Where in the image does each of the most frequent classes lie?
-- The table `grids` is counted by the program from the spans of the masks; SQL cannot rasterise them.
-- grain: one row per cell that the class covers somewhere, of the twelve classes with the most masks, by class, row and column of the grid
-- chart: maps by=name row=y column=x value=share
-- column name: the class
-- column y: row of the cell, from the top
-- column x: column of the cell, from the left
-- column share: share of the cell that the class covers, mean over the images that show it, 0–1
WITH counted AS (
    SELECT CAST(class_id AS BIGINT) AS class_id, CAST(COUNT(*) AS BIGINT) AS masks FROM annotations GROUP BY class_id
),
ranked AS (
    SELECT class_id, ROW_NUMBER() OVER (ORDER BY -masks, class_id) AS place FROM counted
)
SELECT
    labels.name AS name,
    grids.y AS y,
    grids.x AS x,
    ROUND(grids.share, 4) AS share
FROM grids
INNER JOIN ranked ON grids.class_id = ranked.class_id
INNER JOIN labels ON grids.class_id = labels.class_id
WHERE ranked.place <= 12 AND grids.share > 0
ORDER BY ranked.place, y, x
