-- What was forgotten, as hashes with a salt that belongs to this database alone: imports leave it out. Hashes are of
-- executions, and of the traces, segments and requests that were theirs (`queries/src/forgotten.rs`). Where `is_erased` is
-- false, the file still holds what was deleted, and is to be rewritten.
CREATE TABLE forgotten (hash VARCHAR, forgotten_at TIMESTAMP, is_erased BOOLEAN);
CREATE TABLE forgotten_salt (salt VARCHAR);
