-- What did each state of a machine call, and how often? $1 since, $2 until.
SELECT m.arn, s.text AS state, r.text AS resource, count(*) AS calls
FROM attempt a
JOIN execution e ON e.id = a.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN visit v ON v.execution_id = a.execution_id AND v.visit_id = a.visit_id
JOIN name s ON s.id = v.state_id
JOIN name r ON r.id = a.resource_id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY ALL
