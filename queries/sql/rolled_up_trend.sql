-- How long did the executions of each machine take, hour by hour, in buckets?
SELECT m.arn, h.hour, h.bucket, sum(h.executions)::BIGINT AS n
FROM run_histogram h JOIN machine m ON m.id = h.machine_id
WHERE h.hour IS NOT NULL
GROUP BY ALL HAVING sum(h.executions) > 0
ORDER BY ALL
