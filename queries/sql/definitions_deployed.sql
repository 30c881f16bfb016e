-- Which definition came with what was deployed to a machine? $1 machine ARN: with each version the one it was published with, and each
-- definition when it was seen first; in order of time.
SELECT 'version' AS kind, v.version_arn AS label, d.text, v.created_at AS deployed_at
FROM machine_version v JOIN definition d ON d.fingerprint = v.definition
WHERE v.machine_arn = $1
UNION ALL
SELECT 'definition', format('{:016x}', d.fingerprint), d.text, d.seen_at
FROM definition d
WHERE d.machine_arn = $1
ORDER BY kind, deployed_at NULLS FIRST, label
