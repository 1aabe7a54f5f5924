-- title: Coverage
-- section: Cutouts / Quality
-- question: How much of the photo does the cutout keep?
-- grain: one row per range of coverage, the lowest first
-- chart: columns x=coverage value=items value=to_review
-- column coverage: range of the share of the photo that the cutout keeps; the lower bound belongs to it
-- column items: cutouts in it
-- column share: share of all cutouts, 0–1
-- column to_review: those among them that are to be looked at
-- column example: one of the photos, the first by name
WITH ranged AS (
    SELECT
        key,
        CASE WHEN outcome = 'review' THEN 1 ELSE 0 END AS to_review,
        CASE
            WHEN coverage < 0.01 THEN 0
            WHEN coverage < 0.1 THEN 1
            WHEN coverage >= 0.99 THEN 11
            ELSE CAST(FLOOR(CAST(coverage AS DOUBLE) * 10.0 + 0.000001) AS INT) + 1
        END AS step
    FROM ledger
    WHERE coverage IS NOT NULL
),
grouped AS (
    SELECT step, COUNT(*) AS items, SUM(to_review) AS to_review, MIN(key) AS example FROM ranged GROUP BY step
),
-- The numbers of the ranges, so that an empty range has a row, too.
steps AS (
    SELECT CAST(class_id AS INT) AS step FROM labels WHERE class_id <= 11
),
whole AS (
    SELECT COUNT(*) AS items FROM ranged
)
SELECT
    CASE
        WHEN steps.step = 0 THEN 'below 1 %'
        WHEN steps.step = 1 THEN '1–10 %'
        WHEN steps.step = 10 THEN '90–99 %'
        WHEN steps.step = 11 THEN '99 % or more'
        ELSE CONCAT(CAST(steps.step * 10 - 10 AS VARCHAR), '–', CAST(steps.step * 10 AS VARCHAR), ' %')
    END AS coverage,
    COALESCE(grouped.items, 0) AS items,
    COALESCE(ROUND(grouped.items * 1.0 / NULLIF(whole.items, 0), 5), 0.0) AS share,
    COALESCE(grouped.to_review, 0) AS to_review,
    grouped.example AS example
FROM steps
LEFT JOIN grouped ON steps.step = grouped.step
CROSS JOIN whole
ORDER BY steps.step
