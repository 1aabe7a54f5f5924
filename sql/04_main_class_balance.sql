-- title: Balance of the main items
-- section: Dataset / Classes
-- question: How often does each of the 27 main items occur, parts of garments left aside?
-- grain: one row per main item, the most frequent first
-- chart: bars label=name value=masks scale=log
-- column class_id: ClassId of the CSV
-- column name: the class
-- column masks: annotation rows of the class
-- column share: share of the rows of main items, 0–1
-- column rarer: how many times rarer than the most frequent main item
-- column public_masks: rows of the class in the public training file
WITH rowwise AS (
    SELECT class_id, COUNT(*) AS masks FROM annotations GROUP BY class_id
),
main AS (
    SELECT
        labels.class_id AS class_id,
        labels.name AS name,
        COALESCE(rowwise.masks, 0) AS masks,
        labels.public_masks AS public_masks
    FROM labels
    LEFT JOIN rowwise ON labels.class_id = rowwise.class_id
    WHERE labels.kind = 'main'
),
whole AS (
    SELECT SUM(masks) AS masks, MAX(masks) AS most FROM main
)
SELECT
    main.class_id AS class_id,
    main.name AS name,
    main.masks AS masks,
    COALESCE(ROUND(main.masks * 1.0 / NULLIF(whole.masks, 0), 5), 0.0) AS share,
    ROUND(whole.most * 1.0 / NULLIF(main.masks, 0), 2) AS rarer,
    main.public_masks AS public_masks
FROM main
CROSS JOIN whole
ORDER BY masks DESC, class_id
