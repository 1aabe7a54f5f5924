-- title: Balance of the splits
-- section: Dataset / Splits
-- question: Does every split hold its part of the images of each class?
-- grain: one row per class that occurs, the most unevenly spread first
-- chart: stacked label=name value=train_share value=val_share value=test_share
-- column class_id: ClassId of the CSV
-- column name: the class
-- column images: images in a split that show the class
-- column train: those in train
-- column val: those in val
-- column test: those in test
-- column train_share: share of them in train, 0–1
-- column val_share: the same for val
-- column test_share: the same for test
-- column deviation: largest difference of the three to the shares of all images, 0–1
-- column chi_square: Σ (found − expected)² ÷ expected over the three splits; above 6 hardly chance
WITH shown AS (
    SELECT image_id, class_id FROM annotations GROUP BY image_id, class_id
),
grouped AS (
    SELECT
        shown.class_id AS class_id,
        COUNT(*) * 1.0 AS images,
        SUM(CASE WHEN splits.split = 'train' THEN 1.0 ELSE 0.0 END) AS train,
        SUM(CASE WHEN splits.split = 'val' THEN 1.0 ELSE 0.0 END) AS val,
        SUM(CASE WHEN splits.split = 'test' THEN 1.0 ELSE 0.0 END) AS test
    FROM shown
    INNER JOIN splits ON shown.image_id = splits.image_id
    GROUP BY shown.class_id
),
whole AS (
    SELECT
        SUM(CASE WHEN split = 'train' THEN 1.0 ELSE 0.0 END) / COUNT(*) AS train,
        SUM(CASE WHEN split = 'val' THEN 1.0 ELSE 0.0 END) / COUNT(*) AS val,
        SUM(CASE WHEN split = 'test' THEN 1.0 ELSE 0.0 END) / COUNT(*) AS test
    FROM splits
),
compared AS (
    SELECT
        grouped.class_id AS class_id,
        grouped.images AS images,
        grouped.train AS train,
        grouped.val AS val,
        grouped.test AS test,
        ABS(grouped.train / grouped.images - whole.train) AS train_off,
        ABS(grouped.val / grouped.images - whole.val) AS val_off,
        ABS(grouped.test / grouped.images - whole.test) AS test_off,
        COALESCE(POW(grouped.train - grouped.images * whole.train, 2.0) / NULLIF(grouped.images * whole.train, 0.0), 0.0)
            + COALESCE(POW(grouped.val - grouped.images * whole.val, 2.0) / NULLIF(grouped.images * whole.val, 0.0), 0.0)
            + COALESCE(POW(grouped.test - grouped.images * whole.test, 2.0) / NULLIF(grouped.images * whole.test, 0.0), 0.0)
            AS chi_square
    FROM grouped
    CROSS JOIN whole
)
SELECT
    compared.class_id AS class_id,
    labels.name AS name,
    CAST(compared.images AS BIGINT) AS images,
    CAST(compared.train AS BIGINT) AS train,
    CAST(compared.val AS BIGINT) AS val,
    CAST(compared.test AS BIGINT) AS test,
    ROUND(compared.train / compared.images, 5) AS train_share,
    ROUND(compared.val / compared.images, 5) AS val_share,
    ROUND(compared.test / compared.images, 5) AS test_share,
    ROUND(GREATEST(compared.train_off, compared.val_off, compared.test_off), 5) AS deviation,
    ROUND(compared.chi_square, 3) AS chi_square
FROM compared
INNER JOIN labels ON compared.class_id = labels.class_id
ORDER BY deviation DESC, class_id
