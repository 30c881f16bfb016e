-- What was deployed to a machine, and when? $1 machine ARN: marks that somebody set, versions by their first execution, and
-- definitions after the first by when they were seen; in order of time.
SELECT deployed_at, kind, label FROM (
    SELECT deployed_at, 'mark' AS kind, label FROM mark WHERE machine_arn = $1 OR machine_arn IS NULL
    UNION ALL
    SELECT min(e.started_at), 'version', e.version_arn
    FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE m.arn = $1 AND e.version_arn IS NOT NULL AND e.started_at IS NOT NULL
    GROUP BY e.version_arn
    UNION ALL
    SELECT seen_at, 'definition', format('{:016x}', fingerprint) FROM definition d
    WHERE machine_arn = $1 AND seen_at > (SELECT min(seen_at) FROM definition WHERE machine_arn = $1)
)
ORDER BY deployed_at, kind, label
