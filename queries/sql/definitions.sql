-- Which definitions does a machine have, the newest first? $1 machine ARN. One without a machine belongs to it by its name.
SELECT d.text, d.seen_at
FROM definition d
WHERE d.machine_arn = $1 OR (d.machine_arn IS NULL AND d.name = regexp_extract($1, '[^:]+$'))
ORDER BY d.seen_at DESC NULLS LAST, d.fingerprint
