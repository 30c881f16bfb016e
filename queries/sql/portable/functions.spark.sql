-- What the statements of this folder call and engines name differently: for DuckDB these stand in `local.sql`.
CREATE OR REPLACE TEMPORARY FUNCTION micros_between(earlier TIMESTAMP, later TIMESTAMP) RETURNS BIGINT
RETURN timestampdiff(MICROSECOND, earlier, later);
CREATE OR REPLACE TEMPORARY FUNCTION priced_month(instant TIMESTAMP, starts STRING) RETURNS STRING
RETURN substr(CAST(instant AS STRING), 1, 7) || CASE WHEN starts IS NULL THEN ''
    ELSE '#' || CAST(size(filter(split(starts, ','), d -> instant >= CAST(d AS TIMESTAMP))) AS STRING) END;
