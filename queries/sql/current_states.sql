-- Which states are these executions in? $ids with commas between. Parallels and Maps are left out: what runs inside is said.
SELECT v.execution_id, s.text, count(*) AS visits
FROM visit v JOIN name s ON s.id = v.state_id
WHERE v.execution_id IN ($ids) AND v.status = 0 AND v.state_type < 6
GROUP BY ALL
ORDER BY ALL
