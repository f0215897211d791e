-- Where an event stands in its database's log. Numbers are given out when an event is written, so a later change of one
-- thing has a higher one; but transactions end in any order, so a lower number may become visible after a higher one,
-- and one whose transaction was rolled back never does. Who reads by position has to know which numbers are settled:
-- service-kit's `events`.
ALTER TABLE outbox ADD COLUMN position bigint;

-- What is there already is numbered as it was written. It stays append-only for everybody else.
ALTER TABLE outbox DISABLE TRIGGER outbox_append_only;
UPDATE outbox SET position = numbered.position
FROM (SELECT id, row_number() OVER (ORDER BY created_at, seq, id) AS position FROM outbox) AS numbered
WHERE outbox.id = numbered.id;
ALTER TABLE outbox ENABLE TRIGGER outbox_append_only;

ALTER TABLE outbox ALTER COLUMN position SET NOT NULL;
-- Without a cache: a session that keeps numbers for later would write them behind what others have written since.
ALTER TABLE outbox ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY (CACHE 1);
SELECT setval(pg_get_serial_sequence('outbox', 'position'), coalesce(max(position), 0) + 1, false) FROM outbox;

-- Nobody looks events up by id, so the key's index is the log's order instead: no write pays for a further one.
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
ALTER TABLE outbox ADD CONSTRAINT outbox_pkey PRIMARY KEY (position);
