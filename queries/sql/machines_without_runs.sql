-- Which machines are described, by a definition or their settings, and have no execution here?
SELECT DISTINCT d.machine_arn FROM (
    SELECT machine_arn FROM definition WHERE machine_arn IS NOT NULL UNION ALL SELECT machine_arn FROM machine_settings
) d
WHERE NOT EXISTS (FROM machine m JOIN execution e ON e.machine_id = m.id WHERE m.arn = d.machine_arn)
ORDER BY ALL
