-- Which Standard executions of a range of starts were under way when a day began on which another price book does? $1 since, $2 until, $3 the days,
-- with commas between.
SELECT e.id FROM execution e
WHERE e.workflow_type = 0 AND e.billed_transitions > 0
    AND ($1::TIMESTAMP IS NULL OR e.started_at >= $1) AND ($2::TIMESTAMP IS NULL OR e.started_at < $2)
    AND len(list_filter(string_split($3, ','), lambda d: e.started_at < d::TIMESTAMP
        AND (e.stopped_at IS NULL OR e.stopped_at >= d::TIMESTAMP))) > 0
ORDER BY e.started_at, e.id
