-- ANALYZE reads 300 rows for each unit of a column's statistics target: 30,000 of each table by default, which takes
-- the better part of a second of a core, ten times a minute while a database is young. Nothing here needs that: the
-- write path is by key and its plans are pinned, and reads go by an index. A tenth is plenty for them.
-- One column with another target is enough to undo it: a column that is added later needs it as well.
CREATE FUNCTION sample_little(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE (SELECT format('ALTER TABLE %I ', name)
                    || string_agg(format('ALTER COLUMN %I SET STATISTICS 10', attname), ', ' ORDER BY attnum)
             FROM pg_attribute
             WHERE attrelid = quote_ident(name)::regclass AND attnum > 0 AND NOT attisdropped);
END $$;

-- As before; and a new partition has the target too, which LIKE does not copy.
CREATE OR REPLACE FUNCTION keep_months(parent text, ahead integer) RETURNS integer
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
        PERFORM sample_little(part);
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE saga_id >= $1 AND saga_id < $2 RETURNING *)
                        INSERT INTO %I SELECT * FROM moved', rest, part) USING lower, upper;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lower, upper);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT sample_little('inbox'), sample_little('outbox');
