-- title: Slowest photos
-- section: Cutouts / Speed
-- question: Which photos took longest, and in which phase?
-- grain: one row per photo, the slowest first; the 24 slowest of the newest run of each stage
-- chart: bars label=key value=total_ms scale=log most=24
-- column key: the photo
-- column stage: the stage
-- column outcome: how it came out
-- column total_ms: all phases, milliseconds
-- column slowest: the phase that took longest
-- column fetch_ms: reading it, milliseconds
-- column decode_ms: decoding, milliseconds
-- column predict_ms: the model, milliseconds
-- column encode_ms: encoding, milliseconds
-- column put_ms: writing, milliseconds
-- column size: bytes of the photo
WITH timed AS (
    SELECT
        key, stage, pipeline, outcome, size,
        CAST(fetch_ms AS DOUBLE) AS fetch_ms,
        CAST(decode_ms AS DOUBLE) AS decode_ms,
        CAST(predict_ms AS DOUBLE) AS predict_ms,
        CAST(encode_ms AS DOUBLE) AS encode_ms,
        CAST(put_ms AS DOUBLE) AS put_ms,
        COALESCE(CAST(fetch_ms AS DOUBLE), 0.0) + COALESCE(CAST(decode_ms AS DOUBLE), 0.0)
            + COALESCE(CAST(predict_ms AS DOUBLE), 0.0) + COALESCE(CAST(encode_ms AS DOUBLE), 0.0)
            + COALESCE(CAST(put_ms AS DOUBLE), 0.0) AS total_ms,
        GREATEST(
            COALESCE(CAST(fetch_ms AS DOUBLE), 0.0), COALESCE(CAST(decode_ms AS DOUBLE), 0.0),
            COALESCE(CAST(predict_ms AS DOUBLE), 0.0), COALESCE(CAST(encode_ms AS DOUBLE), 0.0),
            COALESCE(CAST(put_ms AS DOUBLE), 0.0)) AS most_ms
    FROM attempts
)
SELECT
    key,
    stage,
    outcome,
    ROUND(total_ms, 1) AS total_ms,
    CASE
        WHEN predict_ms = most_ms THEN 'predict'
        WHEN fetch_ms = most_ms THEN 'fetch'
        WHEN decode_ms = most_ms THEN 'decode'
        WHEN encode_ms = most_ms THEN 'encode'
        WHEN put_ms = most_ms THEN 'put'
    END AS slowest,
    ROUND(fetch_ms, 1) AS fetch_ms,
    ROUND(decode_ms, 1) AS decode_ms,
    ROUND(predict_ms, 1) AS predict_ms,
    ROUND(encode_ms, 1) AS encode_ms,
    ROUND(put_ms, 1) AS put_ms,
    size
FROM timed
ORDER BY total_ms DESC, key, pipeline, stage
LIMIT 24
