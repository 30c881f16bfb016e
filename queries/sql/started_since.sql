-- How many executions of each machine started since $1?
SELECT m.arn, count(*) AS started FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at >= $1 GROUP BY m.arn ORDER BY m.arn
