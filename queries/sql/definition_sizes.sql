-- How many bytes has the newest definition of each machine? One without a machine belongs to it by its name.
SELECT m.arn, first(strlen(d.text) ORDER BY d.seen_at DESC NULLS LAST, d.fingerprint)
FROM machine m JOIN definition d
    ON d.machine_arn = m.arn OR (d.machine_arn IS NULL AND d.name = regexp_extract(m.arn, '[^:]+$'))
GROUP BY m.arn
