-- How much of each usage type did the Cost and Usage Report bill on each day? $file and the column names are filled in.
SELECT strftime(try_cast($start AS TIMESTAMP), '%Y-%m-%d') AS day, $usage_type AS usage_type,
    sum(try_cast($amount AS DECIMAL(38, 9)))::DOUBLE AS quantity, sum(try_cast($cost AS DECIMAL(38, 12)))::DOUBLE AS usd
FROM $file
WHERE $service AND try_cast($amount AS DOUBLE) IS NOT NULL
GROUP BY ALL
ORDER BY ALL
