-- Tables that grow with every saga are kept by months: one partition for each month of the sagas' numbers, which are
-- UUIDv7 and begin with their time. A month is dropped at once, where deleting its rows would cost as much as writing
-- them did. Whatever has a number of another kind, such as a command that is no saga's step, is in `<table>_rest`,
-- which is never dropped.

-- The smallest number of this instant.
CREATE FUNCTION uuid_v7_floor(instant timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of this month and of so many after it; says how many were missing. Rows that were written
-- meanwhile move over from the rest. Runs with the rights of the tables' owner, for services that have fewer.
CREATE FUNCTION keep_months(parent text, ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    rest    text := parent || '_rest';
    month   timestamp;
    part    text;
    lower   uuid;
    upper   uuid;
    made    integer := 0;
BEGIN
    FOR count IN 0..ahead LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => count);
        part := parent || to_char(month, '"_y"YYYY"m"MM');
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        -- Somebody else is at it.
        EXIT WHEN NOT pg_try_advisory_xact_lock(hashtext('keep_months'), hashtext(parent));
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        lower := uuid_v7_floor(month AT TIME ZONE 'UTC');
        upper := uuid_v7_floor((month + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 90)', part, rest);
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE saga_id >= $1 AND saga_id < $2 RETURNING *)
                        INSERT INTO %I SELECT * FROM moved', rest, part) USING lower, upper;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lower, upper);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drops the months that have ended at least so many days ago; says how many.
CREATE FUNCTION drop_months(parent text, days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    part    text;
    dropped integer := 0;
BEGIN
    IF days < 30 THEN
        RAISE EXCEPTION 'a month is kept for 30 days at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = quote_ident(parent)::regclass AND c.relname ~ '_y\d{4}m\d{2}$'
          AND (to_timestamp(right(c.relname, 7), 'YYYY"m"MM')::timestamp + interval '1 month')
              < (now() AT TIME ZONE 'UTC') - make_interval(days => days)
        ORDER BY 1
    LOOP
        EXECUTE format('DROP TABLE %I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

ALTER TABLE inbox RENAME TO inbox_before;
ALTER TABLE inbox_before RENAME CONSTRAINT inbox_pkey TO inbox_before_pkey;
ALTER INDEX inbox_decided RENAME TO inbox_before_decided;
CREATE TABLE inbox (LIKE inbox_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (saga_id, step))
    PARTITION BY RANGE (saga_id);
CREATE INDEX inbox_decided ON inbox USING brin (decided_at) WITH (autosummarize = on);
CREATE TABLE inbox_rest PARTITION OF inbox DEFAULT WITH (fillfactor = 90);
INSERT INTO inbox SELECT * FROM inbox_before;
DROP TABLE inbox_before;
SELECT keep_months('inbox', 2);
