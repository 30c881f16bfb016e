-- On what did the executions that others waited for spend their critical path? By the waiting machine and state.
SELECT m.arn AS machine_arn, s.text AS waiting, cm.arn AS child_machine_arn, cs.text AS child_state, p.category,
    count(DISTINCT ce.id) AS executions, sum(date_diff('microsecond', p.from_at, p.to_at))::BIGINT AS us
FROM child c
JOIN execution e ON e.id = c.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN visit v ON v.execution_id = c.execution_id AND v.visit_id = c.visit_id AND v.callback_us > 0 AND v.critical_us > 0
JOIN name s ON s.id = v.state_id
JOIN execution ce ON ce.arn = c.child_arn
JOIN machine cm ON cm.id = ce.machine_id
JOIN path_step p ON p.execution_id = ce.id
LEFT JOIN visit cv ON cv.execution_id = p.execution_id AND cv.visit_id = p.visit_id
LEFT JOIN name cs ON cs.id = cv.state_id
WHERE m.arn = $1
GROUP BY ALL
ORDER BY us DESC, waiting, child_machine_arn, child_state, category
