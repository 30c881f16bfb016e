-- What do listings, descriptions and status events tell of these executions?
SELECT id, arn, fingerprint::VARCHAR, record FROM execution WHERE id IN ($ids)
