-- What an execution does between its runs is not run time. Statistics are over `active_us`: the wall time without what lay
-- between a closing event and the redrive after it. `runs` is one, and one more for each redrive that is known; `express_ms`
-- is what Express would bill, each run rounded up to 100 ms for itself; `rerun` counts states that a redrive ran again
-- without entering them again. The JSON of `gaps` is a list of objects with a kind, and attempts say which redrive they
-- belong to. All of that is computed from the events, so whoever opens an older database for writing analyses what it
-- stores again; the rollups are filled anew, too.
ALTER TABLE execution ADD COLUMN active_us BIGINT;
ALTER TABLE execution ADD COLUMN rerun UBIGINT;
ALTER TABLE execution ADD COLUMN runs UBIGINT;
ALTER TABLE execution ADD COLUMN express_ms UBIGINT;
ALTER TABLE visit ADD COLUMN active_us BIGINT;
ALTER TABLE visit ADD COLUMN rerun UINTEGER;
ALTER TABLE state_rollup ADD COLUMN redrive_idle_us BIGINT;
ALTER TABLE state_rollup ADD COLUMN rerun BIGINT;
