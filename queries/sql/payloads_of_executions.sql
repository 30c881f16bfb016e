-- Which of these payloads are stored of these executions?
SELECT execution_id, event_id, field, body FROM payload WHERE execution_id IN ($ids) AND field IN ($fields) ORDER BY execution_id, event_id, field
