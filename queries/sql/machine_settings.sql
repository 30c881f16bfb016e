-- How is a machine set up, as it was last described? $1 machine ARN. Truths are 0 and 1.
SELECT log_level, logs_execution_data::INTEGER, log_group_arn, is_traced::INTEGER,
    (kms_key IS NOT NULL AND kms_key <> '')::INTEGER, role_arn
FROM machine_settings WHERE machine_arn = $1 ORDER BY seen_at DESC LIMIT 1
