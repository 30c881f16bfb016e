-- What a lake has on top of the schema. Several may write it: two that meet the same text at once both bring its row, with the
-- same id, and one of them counts.
ALTER TABLE name RENAME TO name_row;
CREATE VIEW name AS SELECT DISTINCT id, text FROM name_row;
ALTER TABLE machine RENAME TO machine_row;
CREATE VIEW machine AS SELECT DISTINCT id, arn, name, region, account FROM machine_row;
