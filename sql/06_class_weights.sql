-- title: Class weights
-- section: Dataset / Classes
-- question: How much would each class weigh in the loss under the usual three rules?
-- grain: one row per class that occurs after the merge, background among them, the heaviest by median frequency first
-- chart: bars label=name value=inverse value=median_frequency value=effective_number scale=log
-- column value: the value in the merged masks (0 background)
-- column name: the class
-- column share: share of the pixels, 0–1
-- column inverse: 1 / share, brought to a mean of 1
-- column median_frequency: median of the shares within the images that show the class, divided by its own share there, brought to a mean of 1
-- column effective_number: (1 − β) / (1 − βⁿ) with n the images that show the class and β = 0.9999, brought to a mean of 1
WITH merged AS (
    SELECT height * 1.0 * width AS whole, UNNEST(class_ids) AS value, UNNEST(class_pixels) AS pixels FROM masks
),
seen AS (
    SELECT value, SUM(pixels) AS pixels, COUNT(*) AS images, SUM(pixels) * 1.0 / SUM(whole) AS within
    FROM merged
    WHERE value < 255 AND pixels > 0
    GROUP BY value
),
whole AS (
    SELECT SUM(pixels) AS pixels, MEDIAN(within) AS middle FROM seen
),
raw AS (
    SELECT
        seen.value AS value,
        seen.pixels * 1.0 / whole.pixels AS share,
        whole.pixels * 1.0 / seen.pixels AS inverse,
        whole.middle / seen.within AS median_frequency,
        0.0001 / (1.0 - POW(0.9999, seen.images * 1.0)) AS effective_number
    FROM seen
    CROSS JOIN whole
),
means AS (
    SELECT AVG(inverse) AS inverse, AVG(median_frequency) AS median_frequency, AVG(effective_number) AS effective_number
    FROM raw
)
SELECT
    raw.value AS value,
    COALESCE(labels.name, 'background') AS name,
    ROUND(raw.share, 5) AS share,
    ROUND(raw.inverse / means.inverse, 4) AS inverse,
    ROUND(raw.median_frequency / means.median_frequency, 4) AS median_frequency,
    ROUND(raw.effective_number / means.effective_number, 4) AS effective_number
FROM raw
LEFT JOIN labels ON raw.value = labels.value
CROSS JOIN means
ORDER BY median_frequency DESC, value
