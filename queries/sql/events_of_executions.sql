-- Which events are stored of these executions? In ascending order of id.
SELECT v.execution_id, v.event_id, v.previous_event_id, t.text, v.happened_at, s.text, r.text, nullif(v.number_1, 0) - 1, x.text, v.log_bytes,
    d.detail
FROM event v
JOIN name t ON t.id = v.type_id
LEFT JOIN name s ON s.id = v.name_id
LEFT JOIN name r ON r.id = v.resource_id
LEFT JOIN event_detail d ON d.execution_id = v.execution_id AND d.event_id = v.event_id
LEFT JOIN name x ON x.id = d.error_id
WHERE v.execution_id IN ($ids)
ORDER BY v.execution_id, v.event_id
