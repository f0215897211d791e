-- How far each chain of this database is sealed. A chain belongs to one table whose rows carry `book_seq` (gap-free,
-- from 1), `prev_hash` and `hash`; the migration that makes such a table also inserts its head, with number 0 and a
-- hash of 32 zero bytes. Whoever seals locks this row, so there is one sealer per chain, however many replicas run.
CREATE TABLE seal_heads (
    chain     text        NOT NULL PRIMARY KEY,
    book_seq  bigint      NOT NULL,
    hash      bytea       NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT seal_heads_count_from_zero CHECK (book_seq >= 0),
    CONSTRAINT seal_heads_hash_is_sha256 CHECK (length(hash) = 32)
);

-- A head goes forward and never away. A sealer never makes one: a head that is missing is a finding.
CREATE FUNCTION seal_heads_forward_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.chain = OLD.chain AND NEW.book_seq > OLD.book_seq THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a seal head only goes forward' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER seal_heads_forward_only BEFORE UPDATE OR DELETE ON seal_heads
    FOR EACH ROW EXECUTE FUNCTION seal_heads_forward_only();
CREATE TRIGGER seal_heads_never_truncated BEFORE TRUNCATE ON seal_heads
    FOR EACH STATEMENT EXECUTE FUNCTION seal_heads_forward_only();

-- For the table of a chain, BEFORE UPDATE, FOR EACH ROW: the sealer's columns are written once, all together, and
-- nothing else ever changes. Rows are compared byte by byte (`*=`), whatever columns the table gets later.
CREATE FUNCTION sealed_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bare record;
BEGIN
    IF OLD.book_seq IS NULL AND NEW.book_seq IS NOT NULL THEN
        bare := NEW;
        bare.book_seq := OLD.book_seq;
        bare.prev_hash := OLD.prev_hash;
        bare.hash := OLD.hash;
        IF bare *= OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
