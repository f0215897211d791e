-- For a statement that is its own transaction: called with how many rows it wrote and how many it should have, it lets
-- the statement end, or takes back all of it.
CREATE FUNCTION all_or_nothing(written bigint, wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF written <> wanted THEN
        RAISE EXCEPTION 'a row changed under the batch' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN written;
END $$;
