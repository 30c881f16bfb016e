-- What do the runs of a machine say about its states? $1 machine ARN. A row per state and error; the error is NULL for the
-- state as a whole.
WITH own AS (SELECT e.id, e.status, e.error_id FROM execution e JOIN machine m ON m.id = e.machine_id WHERE m.arn = $1),
every_try AS (
    SELECT v.state_id, a.error_id, date_diff('microsecond', coalesce(a.started_at, a.scheduled_at), a.ended_at) AS took_us
    FROM attempt a JOIN own e ON e.id = a.execution_id
    JOIN visit v ON v.execution_id = a.execution_id AND v.visit_id = a.visit_id
),
tries AS (SELECT state_id, error_id, count(*) AS errors FROM every_try WHERE error_id IS NOT NULL GROUP BY ALL),
-- A time-out is about an attempt, from its start.
took AS (SELECT state_id, quantile_cont(took_us, 0.99) AS p99_us FROM every_try WHERE took_us IS NOT NULL GROUP BY ALL),
ended AS (
    SELECT v.state_id, v.error_id, count(DISTINCT e.id) FILTER (WHERE e.status = 3 AND v.status IN (2, 5) AND v.error_id = e.error_id) AS failed,
        count(*) FILTER (WHERE v.status = 3) AS caught
    FROM visit v JOIN own e ON e.id = v.execution_id WHERE v.error_id IS NOT NULL GROUP BY ALL
),
inputs AS (
    SELECT v.state_id, max(strlen(p.body)) AS largest
    FROM payload p JOIN own e ON e.id = p.execution_id
    JOIN visit v ON v.execution_id = p.execution_id AND v.visit_id = p.event_id WHERE p.field = 0 GROUP BY ALL
),
states AS (
    SELECT v.state_id, count(*) AS visits, sum(v.retries)::BIGINT AS retries, max(v.active_us) AS longest_us
    FROM visit v JOIN own e ON e.id = v.execution_id GROUP BY v.state_id
)
SELECT n.text, s.visits, s.retries, k.p99_us, s.longest_us, i.largest, NULL AS error, 0 AS errors, 0 AS failed, 0 AS caught
FROM states s JOIN name n ON n.id = s.state_id LEFT JOIN inputs i ON i.state_id = s.state_id
    LEFT JOIN took k ON k.state_id = s.state_id
UNION ALL
SELECT n.text, 0, 0, NULL, NULL, NULL, x.text, coalesce(t.errors, 0), coalesce(f.failed, 0), coalesce(f.caught, 0)
FROM tries t FULL JOIN ended f ON f.state_id = t.state_id AND f.error_id = t.error_id
JOIN name n ON n.id = coalesce(t.state_id, f.state_id) JOIN name x ON x.id = coalesce(t.error_id, f.error_id)
ORDER BY ALL
