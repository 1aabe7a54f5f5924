-- title: Drift of sizes, areas and the other distributions
-- section: Dataset / Drift
-- question: How far is each distribution from that of the last run, and from the baseline?
-- grain: one row per distribution and run compared with, the farthest first
-- chart: bars label=comparison value=jensen_shannon
-- keep: jensen_shannon item=comparison value=jensen_shannon
-- column comparison: the distribution and the run that it is compared with
-- column figure: the kept figure: the shares of one distribution
-- column compared_with: last (the last run of other data) or baseline (the pinned run)
-- column jensen_shannon: Jensen–Shannon divergence in bits, 0 (equal) to 1 (nothing in common)
-- column largest: largest difference of one share (L∞), 0–1
-- column item: the item with that difference
-- column now: its share now, 0–1
-- column before: its share then, 0–1
WITH kept AS (
    SELECT figure, role, item, SUM(value) AS value
    FROM stats
    WHERE role IN ('now', 'last', 'baseline')
        AND figure IN (
            'class_share', 'class_pixel_share', 'size_share', 'aspect_share', 'mask_area_share', 'masks_per_image',
            'quarantine_share')
    GROUP BY figure, role, item
),
sums AS (
    SELECT figure, role, SUM(value) AS whole FROM kept GROUP BY figure, role
),
shares AS (
    SELECT
        kept.figure AS figure,
        kept.role AS role,
        kept.item AS item,
        kept.value / sums.whole AS share
    FROM kept
    INNER JOIN sums ON kept.figure = sums.figure AND kept.role = sums.role
    WHERE sums.whole > 0
),
wide AS (
    SELECT
        figure,
        item,
        COALESCE(SUM(CASE WHEN role = 'now' THEN share END), 0.0) AS now_share,
        COALESCE(SUM(CASE WHEN role = 'last' THEN share END), 0.0) AS last_share,
        COALESCE(SUM(CASE WHEN role = 'baseline' THEN share END), 0.0) AS baseline_share
    FROM shares
    GROUP BY figure, item
),
pairs AS (
    SELECT figure, item, 'last' AS role, now_share AS p, last_share AS q FROM wide
    UNION ALL
    SELECT figure, item, 'baseline' AS role, now_share AS p, baseline_share AS q FROM wide
),
placed AS (
    SELECT
        figure, role, item, p, q,
        CASE WHEN p > 0 THEN p * LOG2(2.0 * p / (p + q)) ELSE 0.0 END
            + CASE WHEN q > 0 THEN q * LOG2(2.0 * q / (p + q)) ELSE 0.0 END AS part,
        -ROUND(ABS(p - q), 9) AS closeness
    FROM pairs
),
ranked AS (
    SELECT
        figure, role, item, p, q, part,
        ROW_NUMBER() OVER (PARTITION BY figure, role ORDER BY closeness, item) AS place
    FROM placed
),
compared AS (
    SELECT
        figure,
        role,
        SUM(part) / 2.0 AS divergence,
        MAX(ABS(p - q)) AS largest,
        MAX(CASE WHEN place = 1 THEN item END) AS item,
        MAX(CASE WHEN place = 1 THEN p END) AS p,
        MAX(CASE WHEN place = 1 THEN q END) AS q,
        SUM(p) AS p_sum,
        SUM(q) AS q_sum
    FROM ranked
    GROUP BY figure, role
)
SELECT
    CONCAT(figure, ' / ', role) AS comparison,
    figure,
    role AS compared_with,
    ROUND(ABS(divergence), 5) AS jensen_shannon,
    ROUND(largest, 5) AS largest,
    item,
    ROUND(p, 5) AS now,
    ROUND(q, 5) AS before
FROM compared
WHERE p_sum > 0 AND q_sum > 0
ORDER BY jensen_shannon DESC, figure, compared_with
