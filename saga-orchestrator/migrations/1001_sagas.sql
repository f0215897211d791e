-- One row per saga: its immutable intent, and hints for whoever drives it. What a saga's fate is, the participants'
-- inboxes say; only the terminal mark is binding here, because readers rely on it.
CREATE TABLE sagas (
    saga_id        uuid        NOT NULL PRIMARY KEY,
    kind           text        NOT NULL,
    version        smallint    NOT NULL,
    -- 1 RUNNING, 2 COMPENSATING, 3 COMPLETED, 4 ROLLED_BACK, 5 PARKED
    status         smallint    NOT NULL DEFAULT 1,
    caller         text        NOT NULL,
    request_id     uuid        NOT NULL,
    request_hash   bytea       NOT NULL,
    input          jsonb       NOT NULL,
    -- The orders it touches besides the one that has the saga's own number.
    order_id       uuid,
    other_order_id uuid,
    -- At most one active saga has this key.
    conflict_key   text,
    -- An operator asked to give it up.
    abort_asked    boolean     NOT NULL DEFAULT false,
    reason         text,
    detail         text,
    owner          uuid        NOT NULL,
    epoch          bigint      NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    CONSTRAINT sagas_one_per_request UNIQUE (caller, kind, request_id),
    CONSTRAINT sagas_status_known CHECK (status BETWEEN 1 AND 5),
    CONSTRAINT sagas_ended_is_terminal CHECK ((status IN (3, 4)) = (ended_at IS NOT NULL)),
    CONSTRAINT sagas_rolled_back_has_reason CHECK (status <> 4 OR reason IS NOT NULL),
    CONSTRAINT sagas_parked_has_reason CHECK (status <> 5 OR reason IS NOT NULL)
) WITH (fillfactor = 60);

-- What recovery scans.
CREATE INDEX sagas_active ON sagas (saga_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX sagas_one_active_per_conflict ON sagas (conflict_key)
    WHERE ended_at IS NULL AND conflict_key IS NOT NULL;
-- Creating an order touches no other order, so these cost the create path nothing.
CREATE INDEX sagas_of_order ON sagas (order_id, saga_id) WHERE order_id IS NOT NULL;
CREATE INDEX sagas_of_other_order ON sagas (other_order_id, saga_id) WHERE other_order_id IS NOT NULL;

-- Terminal states never change, whatever a late driver writes.
CREATE FUNCTION sagas_ended_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'saga % has ended', OLD.saga_id;
END $$;
CREATE TRIGGER sagas_ended_for_ever BEFORE UPDATE ON sagas
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION sagas_ended_for_ever();

-- Requests of kinds that share sagas: which saga answers each. The saga's own request is here too.
CREATE TABLE saga_requests (
    caller       text  NOT NULL,
    kind         text  NOT NULL,
    request_id   uuid  NOT NULL,
    request_hash bytea NOT NULL,
    saga_id      uuid  NOT NULL,
    PRIMARY KEY (caller, kind, request_id)
);

-- What drivers noted, some attempts to a row. Lazy: it may be lost without harm.
CREATE TABLE saga_log (
    saga_id uuid    NOT NULL,
    epoch   bigint  NOT NULL,
    seq     integer NOT NULL,
    entries jsonb   NOT NULL,
    PRIMARY KEY (saga_id, epoch, seq)
);

-- One heartbeat row per process start, not per saga.
CREATE TABLE owners (
    owner      uuid        NOT NULL PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
