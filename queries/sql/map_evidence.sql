-- How many items do the Maps of a machine have, and how long do they and their longest items take? $1 machine ARN.
WITH own AS (SELECT e.id FROM execution e JOIN machine m ON m.id = e.machine_id WHERE m.arn = $1),
maps AS (
    SELECT v.execution_id, v.visit_id, v.state_id, v.active_us FROM visit v JOIN own e ON e.id = v.execution_id
    WHERE v.state_type = 7 AND v.active_us IS NOT NULL
),
items AS (
    SELECT m.execution_id, m.visit_id, v.iteration, date_diff('microsecond', min(v.entered_at), max(v.exited_at)) AS item_us
    FROM maps m JOIN visit v ON v.execution_id = m.execution_id AND v.parent_id = m.visit_id
    GROUP BY ALL
),
rounds AS (
    SELECT m.state_id, m.active_us, count(*) AS n_items, max(i.item_us) AS longest_us
    FROM maps m JOIN items i USING (execution_id, visit_id) GROUP BY m.execution_id, m.visit_id, m.state_id, m.active_us
)
SELECT n.text, count(*), quantile_disc(r.n_items, 0.5), max(r.n_items), quantile_disc(r.active_us, 0.5),
    coalesce(quantile_disc(r.longest_us, 0.5), 0)
FROM rounds r JOIN name n ON n.id = r.state_id GROUP BY n.text ORDER BY n.text
