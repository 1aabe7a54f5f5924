-- title: Where the time goes
-- section: Runs / Speed
-- question: In which phase do the items of each stage spend their time?
-- grain: one row per stage, as its newest run had it, by pipeline and stage
-- chart: stacked label=label value=fetch value=decode value=predict value=encode value=put
-- column label: pipeline and stage
-- column items: attempts at items
-- column fetch: share of the time spent in reading, 0–1
-- column decode: share of the time spent in decoding, 0–1
-- column predict: share of the time spent in the model, 0–1
-- column encode: share of the time spent in encoding, 0–1
-- column put: share of the time spent in writing, 0–1
-- column fetch_ms: mean per item that came so far, milliseconds
-- column decode_ms: mean per item that came so far, milliseconds
-- column predict_ms: mean per item that came so far, milliseconds
-- column encode_ms: mean per item that came so far, milliseconds
-- column put_ms: mean per item that came so far, milliseconds
WITH grouped AS (
    SELECT
        pipeline,
        stage,
        COUNT(*) AS items,
        COALESCE(SUM(CAST(fetch_ms AS DOUBLE)), 0.0) AS fetch,
        COALESCE(SUM(CAST(decode_ms AS DOUBLE)), 0.0) AS decode,
        COALESCE(SUM(CAST(predict_ms AS DOUBLE)), 0.0) AS predict,
        COALESCE(SUM(CAST(encode_ms AS DOUBLE)), 0.0) AS encode,
        COALESCE(SUM(CAST(put_ms AS DOUBLE)), 0.0) AS put,
        AVG(CAST(fetch_ms AS DOUBLE)) AS fetch_ms,
        AVG(CAST(decode_ms AS DOUBLE)) AS decode_ms,
        AVG(CAST(predict_ms AS DOUBLE)) AS predict_ms,
        AVG(CAST(encode_ms AS DOUBLE)) AS encode_ms,
        AVG(CAST(put_ms AS DOUBLE)) AS put_ms
    FROM attempts
    GROUP BY pipeline, stage
)
SELECT
    CONCAT(pipeline, ' / ', stage) AS label,
    items,
    ROUND(fetch / NULLIF(fetch + decode + predict + encode + put, 0.0), 5) AS fetch,
    ROUND(decode / NULLIF(fetch + decode + predict + encode + put, 0.0), 5) AS decode,
    ROUND(predict / NULLIF(fetch + decode + predict + encode + put, 0.0), 5) AS predict,
    ROUND(encode / NULLIF(fetch + decode + predict + encode + put, 0.0), 5) AS encode,
    ROUND(put / NULLIF(fetch + decode + predict + encode + put, 0.0), 5) AS put,
    ROUND(fetch_ms, 2) AS fetch_ms,
    ROUND(decode_ms, 2) AS decode_ms,
    ROUND(predict_ms, 2) AS predict_ms,
    ROUND(encode_ms, 2) AS encode_ms,
    ROUND(put_ms, 2) AS put_ms
FROM grouped
ORDER BY pipeline, stage
