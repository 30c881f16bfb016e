-- Which Standard executions have transitions in a range, and are not wholly within one day of it? $1 since, $2 until; $3 whether the range is that
-- of starts, or of the transitions themselves. `whole_days.sql` has the others.
SELECT e.id FROM execution e
WHERE e.workflow_type = 0 AND e.billed_transitions > 0
    AND CASE WHEN $3 THEN ($1::TIMESTAMP IS NULL OR e.started_at >= $1) AND ($2::TIMESTAMP IS NULL OR e.started_at < $2)
        ELSE ($1 IS NULL OR e.stopped_at IS NULL OR e.stopped_at >= $1) AND ($2 IS NULL OR e.started_at IS NULL OR e.started_at < $2) END
    AND NOT coalesce(
        e.started_at::DATE = e.stopped_at::DATE
        AND ($3 OR (($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.stopped_at < $2))), false)
ORDER BY e.started_at NULLS FIRST, e.id
