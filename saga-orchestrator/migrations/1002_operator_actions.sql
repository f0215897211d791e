-- A saga that an operator parked stays parked, whoever drives it, until an operator lets it go on.
ALTER TABLE sagas ADD COLUMN paused boolean NOT NULL DEFAULT false;

-- What operators did to sagas, or tried: written with the effect, and never changed.
CREATE TABLE operator_actions (
    action_id  uuid        NOT NULL PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL,
    role       text        NOT NULL,
    verb       text        NOT NULL,
    saga_id    uuid        NOT NULL,
    reason     text        NOT NULL,
    -- ACCEPTED, or the reason of the refusal.
    outcome    text        NOT NULL,
    -- The saga's status then, as in sagas.
    found      smallint    NOT NULL,
    request_id text        NOT NULL,
    CONSTRAINT operator_actions_verb_known CHECK (verb IN ('retry', 'abort', 'pause')),
    CONSTRAINT operator_actions_actor_known CHECK (actor <> '')
);
CREATE INDEX operator_actions_of_saga ON operator_actions (saga_id, action_id);

CREATE FUNCTION operator_actions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'operator_actions is append-only';
END $$;
CREATE TRIGGER operator_actions_append_only BEFORE UPDATE OR DELETE ON operator_actions
    FOR EACH ROW EXECUTE FUNCTION operator_actions_append_only();
