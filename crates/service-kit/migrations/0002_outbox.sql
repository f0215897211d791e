-- Every change as exactly one event, written in the transaction of the change. The first five columns are the
-- Debezium outbox router's. It is the event history too, so nothing is ever deleted here.
CREATE TABLE outbox (
    id            uuid         NOT NULL PRIMARY KEY,
    aggregatetype varchar(255) NOT NULL,
    aggregateid   varchar(255) NOT NULL,
    type          varchar(255) NOT NULL,
    payload       jsonb        NOT NULL,
    seq           bigint       NOT NULL,
    created_at    timestamptz  NOT NULL DEFAULT clock_timestamp(),
    traceparent   text,
    CONSTRAINT outbox_one_event_per_change UNIQUE (aggregatetype, aggregateid, seq)
);

CREATE FUNCTION outbox_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'outbox is append-only';
END $$;

CREATE TRIGGER outbox_append_only BEFORE UPDATE OR DELETE ON outbox
    FOR EACH ROW EXECUTE FUNCTION outbox_append_only();
