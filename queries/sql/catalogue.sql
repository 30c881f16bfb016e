-- PostgreSQL: what the writers of one lake agree on, beside DuckLake's own tables. Ids for what returns, so that two writers give
-- one text the same; who collects, and who holds which slice; and the fence.
DO $f$ BEGIN PERFORM pg_advisory_xact_lock(20261126); END $f$;
CREATE TABLE IF NOT EXISTS stepscope_id (kind text, digest bytea, id integer NOT NULL, PRIMARY KEY (kind, digest));
CREATE SEQUENCE IF NOT EXISTS stepscope_name_ids;
CREATE SEQUENCE IF NOT EXISTS stepscope_machine_ids;
CREATE SEQUENCE IF NOT EXISTS stepscope_execution_blocks;

-- A row changes only when its collector is fenced: commits lock it, and beats must not be in their way.
CREATE TABLE IF NOT EXISTS stepscope_collector (
    id bigserial PRIMARY KEY, role text, host text, process bigint, began_at timestamptz NOT NULL DEFAULT now(), is_fenced boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS stepscope_beat (collector bigint PRIMARY KEY, expires_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS stepscope_slice (slice text PRIMARY KEY, collector bigint, held_since timestamptz, done_at timestamptz);

-- The id of a text, which is given only once.
CREATE OR REPLACE FUNCTION stepscope_id_of(wanted text, value bytea) RETURNS integer LANGUAGE plpgsql AS $f$
DECLARE found integer;
BEGIN
    SELECT id INTO found FROM stepscope_id WHERE kind = wanted AND digest = sha256(value);
    IF found IS NULL THEN
        INSERT INTO stepscope_id VALUES (wanted, sha256(value), nextval('stepscope_' || wanted || '_ids'))
            ON CONFLICT DO NOTHING RETURNING id INTO found;
    END IF;
    IF found IS NULL THEN
        SELECT id INTO found FROM stepscope_id WHERE kind = wanted AND digest = sha256(value);
    END IF;
    RETURN found;
END $f$;

CREATE OR REPLACE FUNCTION stepscope_join(role text, host text, process bigint, seconds double precision) RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE own bigint;
BEGIN
    INSERT INTO stepscope_collector (role, host, process) VALUES (role, host, process) RETURNING id INTO own;
    INSERT INTO stepscope_beat VALUES (own, clock_timestamp() + make_interval(secs => seconds));
    RETURN own;
END $f$;

-- Prolongs a collector's lease; false once it was fenced.
CREATE OR REPLACE FUNCTION stepscope_beat_of(own bigint, seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
    UPDATE stepscope_beat SET expires_at = clock_timestamp() + make_interval(secs => seconds) WHERE collector = own;
    RETURN EXISTS (SELECT 1 FROM stepscope_collector WHERE id = own AND NOT is_fenced);
END $f$;

-- Fences collectors whose lease has run out, and takes free slices up to a fair share of all; gives every slice that is held now.
-- With an instant, only slices count that were not done since. No more than `most` are held.
CREATE OR REPLACE FUNCTION stepscope_claim(own bigint, wanted text[], since timestamptz, most integer) RETURNS TABLE (held text, fair bigint, live bigint)
LANGUAGE plpgsql AS $f$
DECLARE n_live bigint; n_fair bigint; n_own bigint;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    -- One whose commit has begun holds its row: it is left alone until that has ended.
    UPDATE stepscope_collector SET is_fenced = true WHERE id IN (
        SELECT c.id FROM stepscope_collector c JOIN stepscope_beat b ON b.collector = c.id
        WHERE NOT c.is_fenced AND b.expires_at < clock_timestamp() FOR UPDATE OF c SKIP LOCKED
    );
    INSERT INTO stepscope_slice (slice) SELECT unnest(wanted) ON CONFLICT DO NOTHING;
    SELECT count(*) INTO n_live FROM stepscope_collector c WHERE NOT is_fenced AND c.role = (SELECT o.role FROM stepscope_collector o WHERE o.id = own);
    SELECT count(*) INTO n_fair FROM stepscope_slice s WHERE s.slice = ANY (wanted);
    n_fair := (n_fair + greatest(n_live, 1) - 1) / greatest(n_live, 1);
    SELECT count(*) INTO n_own FROM stepscope_slice s WHERE s.collector = own;
    UPDATE stepscope_slice t SET collector = own, held_since = clock_timestamp() WHERE t.slice IN (
        SELECT s.slice FROM stepscope_slice s LEFT JOIN stepscope_collector c ON c.id = s.collector
        WHERE s.slice = ANY (wanted) AND (s.collector IS NULL OR c.is_fenced) AND (since IS NULL OR s.done_at IS NULL OR s.done_at < since)
        ORDER BY s.slice LIMIT greatest(least(n_fair, most) - n_own, 0) FOR UPDATE OF s SKIP LOCKED
    ) AND EXISTS (SELECT 1 FROM stepscope_collector WHERE id = own AND NOT is_fenced);
    RETURN QUERY SELECT s.slice, n_fair, n_live FROM stepscope_slice s WHERE s.collector = own
        UNION ALL SELECT NULL, n_fair, n_live ORDER BY 1;
END $f$;

-- Gives slices back; those that were read to the end are told so.
CREATE OR REPLACE FUNCTION stepscope_release(own bigint, released text[], is_done boolean) RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE n bigint;
BEGIN
    UPDATE stepscope_slice SET collector = NULL, done_at = CASE WHEN is_done THEN clock_timestamp() ELSE done_at END
        WHERE collector = own AND slice = ANY (released);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $f$;

CREATE OR REPLACE FUNCTION stepscope_leave(own bigint) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
    UPDATE stepscope_slice SET collector = NULL WHERE collector = own;
    UPDATE stepscope_collector SET is_fenced = true WHERE id = own;
    RETURN true;
END $f$;

-- The fence: a commit of a collector that was fenced is refused by the catalogue itself, in the transaction that would make it.
CREATE OR REPLACE FUNCTION stepscope_fence() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    IF NEW.commit_extra_info LIKE 'stepscope collector %' THEN
        PERFORM 1 FROM stepscope_collector WHERE id = substr(NEW.commit_extra_info, 21)::bigint AND NOT is_fenced FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'stepscope: this collector was fenced';
        END IF;
    END IF;
    RETURN NEW;
END $f$;
CREATE OR REPLACE TRIGGER stepscope_fence BEFORE INSERT ON ducklake_snapshot_changes FOR EACH ROW EXECUTE FUNCTION stepscope_fence();
