-- Which events are stored of these executions? Packed, in ascending order of id.
SELECT execution_id, events FROM history WHERE execution_id IN ($ids)
