-- After which errors did states try again, and how much back-off was that? A retry counts under the error of the attempt
-- before it; what a redrive ran again is no retry. $1 since, $2 until.
WITH tries AS (
    SELECT a.execution_id, a.visit_id, a.attempt, a.error_id, a.ended_at, coalesce(a.redrive, 0) AS redrive,
        lead(a.scheduled_at) OVER (PARTITION BY a.execution_id, a.visit_id ORDER BY a.attempt) AS next_at,
        lead(coalesce(a.redrive, 0)) OVER (PARTITION BY a.execution_id, a.visit_id ORDER BY a.attempt) AS next_redrive
    FROM attempt a
)
SELECT m.arn, coalesce(x.text, 'unknown') AS error, count(*) AS retries,
    coalesce(sum(date_diff('microsecond', t.ended_at, t.next_at)), 0)::BIGINT AS backoff_us
FROM tries t
JOIN execution e ON e.id = t.execution_id
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = t.error_id
WHERE t.next_at IS NOT NULL AND t.redrive = t.next_redrive AND ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY m.arn, retries DESC, error
