-- Autovacuum goes over every page once more, and writes it, whenever a table has grown by a fifth: a young database is
-- always at it, and while it was, the median order of a busy mesh took a fifth longer. Nothing needs it that early: rows that
-- are only ever added leave nothing to clean up, and dead versions of rows that were changed in place are in room that
-- the page keeps for that. So the fifth counts only beyond ten million new rows, or one million dead ones. Large tables
-- are vacuumed as ever, and wraparound is prevented as ever. For each partition of a table that has some.
CREATE FUNCTION vacuum_seldom(name text, dead integer DEFAULT 1000000) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text;
BEGIN
    FOR part IN
        SELECT coalesce(tree.relid, table_of.oid)::regclass::text
        FROM (SELECT quote_ident(name)::regclass AS oid) AS table_of
        LEFT JOIN pg_partition_tree(table_of.oid) AS tree ON true
        WHERE tree.isleaf IS NOT FALSE
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_threshold = 10000000,
                                            autovacuum_vacuum_threshold = %s)', part, dead);
    END LOOP;
END $$;

-- As before; and a new partition is vacuumed as seldom as the others.
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
        PERFORM vacuum_seldom(part);
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE saga_id >= $1 AND saga_id < $2 RETURNING *)
                        INSERT INTO %I SELECT * FROM moved', rest, part) USING lower, upper;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lower, upper);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT vacuum_seldom('inbox'), vacuum_seldom('outbox');
