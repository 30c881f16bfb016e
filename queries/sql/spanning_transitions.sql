-- How many transitions did executions that span months, or have not stopped, bill in each month? Every transition counts in its own. $1
-- machine ARN or NULL, $2 since, $3 until (by start), $4 days on which another price book begins: behind a `#` stands the place
-- of the book.
WITH wanted AS (
    SELECT e.*, priced_month(coalesce(e.started_at, e.stopped_at), $4) AS start_month,
        priced_month(coalesce(e.stopped_at, e.started_at), $4) AS stop_month
    FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
),
spanning AS (
    SELECT w.id, w.machine_id, w.start_month, w.billed_transitions FROM wanted w
    WHERE w.start_month <> w.stop_month OR w.stopped_at IS NULL
),
billed_events AS (
    SELECT s.id, s.machine_id, priced_month(v.happened_at, $4) AS month, count(*) AS n
    FROM spanning s
    JOIN event v ON v.execution_id = s.id
    JOIN name t ON t.id = v.type_id
    WHERE t.text LIKE '%StateEntered' OR t.text = 'ExecutionRedriven'
    GROUP BY ALL
    UNION ALL
    SELECT s.id, s.machine_id, priced_month(coalesce(a.scheduled_at, a.started_at, a.ended_at), $4) AS month, count(*) AS n
    FROM spanning s JOIN attempt a ON a.execution_id = s.id
    WHERE a.attempt > 1
    GROUP BY ALL
),
pieces AS (
    SELECT machine_id, month, n FROM billed_events
    UNION ALL
    -- Retried containers and the children of Map Runs have no event of their own here: they count where the run began.
    SELECT s.machine_id, s.start_month, s.billed_transitions - coalesce((SELECT sum(b.n) FROM billed_events b WHERE b.id = s.id), 0)
    FROM spanning s
)
SELECT m.arn, p.month, sum(p.n)::BIGINT AS transitions
FROM pieces p JOIN machine m ON m.id = p.machine_id
WHERE p.month IS NOT NULL
GROUP BY ALL
ORDER BY ALL
