-- What do the events of these executions have that few events have?
SELECT d.execution_id, d.event_id, x.text, d.detail
FROM event_detail d
LEFT JOIN name x ON x.id = d.error_id
WHERE d.execution_id IN ($ids)
