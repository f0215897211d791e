-- What the scripts of a history need, in each of the three databases: when saga `n` was, and numbers that follow from it,
-- so that the three databases agree without asking each other. Ids are of version 7, in the order of time.
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT to_timestamp(:begin + n * :step) $$;

CREATE FUNCTION pg_temp.number(at timestamptz, salt text) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
           || '7' || left(md5(salt), 3) || '8' || substr(md5(salt), 4, 15))::uuid $$;

CREATE FUNCTION pg_temp.sagas(first bigint, count bigint)
RETURNS TABLE (n bigint, at timestamptz, id uuid, customer text) LANGUAGE sql STABLE AS
$$ SELECT n, pg_temp.at(n), pg_temp.number(pg_temp.at(n), 'saga ' || n), 'bench-' || n % :customers
   FROM generate_series(first, first + count - 1) n $$;

-- As the services write a time into an event.
CREATE FUNCTION pg_temp.said(at timestamptz) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- As long as an intent is, and compresses as little.
CREATE FUNCTION pg_temp.intent(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT string_agg(sha256((n || ' ' || part)::bytea), '') FROM generate_series(1, 11) part $$;
