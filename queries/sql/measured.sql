-- What speaks for or against Express? A row per machine; $1 since, $2 until.
SELECT m.arn, count(e.active_us) AS timed, count(*) FILTER (WHERE e.active_us > 300000000) AS over_limit,
    max(e.active_us) AS longest_us, count(*) FILTER (WHERE e.redrives > 0 OR e.runs > 1) AS redriven,
    count(*) FILTER (WHERE e.id IN (SELECT execution_id FROM child WHERE contains(child_arn, ':mapRun:'))) AS map_runs,
    coalesce(sum(e.billed_transitions) FILTER (WHERE e.status >= 3), 0)::BIGINT AS failed_transitions,
    count(*) FILTER (WHERE e.status >= 3) AS failed, coalesce(sum(e.log_bytes), 0)::BIGINT AS log_bytes,
    coalesce(sum(e.redrives), 0)::BIGINT AS redrives, coalesce(sum(e.n_events), 0)::BIGINT AS events,
    coalesce(sum(e.n_events) FILTER (WHERE e.log_bytes > 0), 0)::BIGINT AS logged_events
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY m.arn
ORDER BY m.arn
