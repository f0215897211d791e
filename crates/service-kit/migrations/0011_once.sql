-- Making a month looks through the whole rest, and nobody can write to it meanwhile. Commands that are no saga's steps were
-- there for ever, so that look took longer every month, and at last longer than a statement may take. They get a
-- partition of their own: their numbers have the first bit set now, which a UUIDv7 has from the year 6429 on.
LOCK TABLE inbox_rest IN ACCESS EXCLUSIVE MODE;
CREATE TABLE inbox_once (LIKE inbox_rest INCLUDING ALL) WITH (fillfactor = 90);
SELECT sample_little('inbox_once');
WITH moved AS (
    DELETE FROM inbox_rest
    WHERE substr(saga_id::text, 15, 1) = '5' OR saga_id >= '80000000-0000-0000-0000-000000000000' RETURNING *)
INSERT INTO inbox_once SELECT * FROM moved;
UPDATE inbox_once
SET saga_id = overlay(saga_id::text PLACING to_hex(('x' || left(saga_id::text, 1))::bit(4)::integer | 8) FROM 1 FOR 1)::uuid;
ALTER TABLE inbox ATTACH PARTITION inbox_once FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE);

-- Processes of the version before still use the old numbers, and would not find what was done under the new ones, nor be
-- found: they are told to come again until they are replaced.
CREATE FUNCTION refuse_old_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the number of a command that is no saga''s step, as older versions made it'
        USING ERRCODE = 'serialization_failure';
END $$;
CREATE TRIGGER old_number BEFORE INSERT ON inbox_rest
    FOR EACH ROW WHEN (substr(NEW.saga_id::text, 15, 1) = '5') EXECUTE FUNCTION refuse_old_number();
