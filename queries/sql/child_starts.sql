-- When did the stored children of Map Runs start? $arns their ARNs.
SELECT e.map_run_arn, e.started_at FROM execution e
WHERE e.map_run_arn IN ($arns) AND e.started_at IS NOT NULL
ORDER BY e.map_run_arn, e.started_at, e.arn
