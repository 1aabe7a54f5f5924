-- title: Shapes of the masks
-- section: Dataset / Masks
-- question: How ragged are the masks of each class, and how many are tiny or cover the whole image?
-- grain: one row per class, the most spans per column first, classes without masks last
-- chart: bars label=name value=spans_per_column
-- column class_id: ClassId of the CSV
-- column name: the class
-- column masks: masks of the class
-- column spans_median: median of the spans of a mask
-- column spans_most: most spans of a mask
-- column spans_per_column: median of spans ÷ columns of the bounding box: 1 for a simple outline, more for holes and fragments
-- column fill_median: median share of the bounding box that the mask covers, 0–1
-- column tiny: masks of fewer than 20 pixels
-- column full: masks that cover the whole image
WITH shaped AS (
    SELECT
        class_id,
        spans,
        spans * 1.0 / NULLIF(CAST(right AS BIGINT) - CAST(left AS BIGINT), 0) AS per_column,
        area_px * 1.0 / NULLIF(
            (CAST(right AS BIGINT) - CAST(left AS BIGINT)) * (CAST(bottom AS BIGINT) - CAST(top AS BIGINT)), 0) AS fill,
        CASE WHEN area_px < 20 THEN 1 ELSE 0 END AS tiny,
        CASE WHEN area_px >= height * 1.0 * width THEN 1 ELSE 0 END AS full
    FROM annotations
    WHERE area_px > 0
),
grouped AS (
    SELECT
        class_id,
        COUNT(*) AS masks,
        MEDIAN(spans) AS spans_median,
        MAX(spans) AS spans_most,
        MEDIAN(per_column) AS per_column,
        MEDIAN(fill) AS fill,
        SUM(tiny) AS tiny,
        SUM(full) AS full
    FROM shaped
    GROUP BY class_id
)
SELECT
    labels.class_id AS class_id,
    labels.name AS name,
    COALESCE(grouped.masks, 0) AS masks,
    ROUND(grouped.spans_median, 1) AS spans_median,
    grouped.spans_most AS spans_most,
    ROUND(grouped.per_column, 3) AS spans_per_column,
    ROUND(grouped.fill, 5) AS fill_median,
    COALESCE(grouped.tiny, 0) AS tiny,
    COALESCE(grouped.full, 0) AS full
FROM labels
LEFT JOIN grouped ON labels.class_id = grouped.class_id
ORDER BY COALESCE(spans_per_column, -1.0) DESC, class_id
