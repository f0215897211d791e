-- What operators did is a chain, like the journal: the sealer gives each action, some time after its commit, a gap-free
-- number and the hash of everything before it (service-kit, `seal`).
ALTER TABLE operator_actions
    ADD COLUMN book_seq  bigint,
    ADD COLUMN prev_hash bytea,
    ADD COLUMN hash      bytea,
    ADD CONSTRAINT operator_actions_sealed_whole
        CHECK ((book_seq IS NULL) = (hash IS NULL) AND (book_seq IS NULL) = (prev_hash IS NULL));
CREATE UNIQUE INDEX operator_actions_book_seq_once ON operator_actions (book_seq) WHERE book_seq IS NOT NULL;
CREATE INDEX operator_actions_unsealed ON operator_actions (at) WHERE book_seq IS NULL;

DROP TRIGGER operator_actions_append_only ON operator_actions;
CREATE TRIGGER operator_actions_append_only BEFORE DELETE ON operator_actions
    FOR EACH ROW EXECUTE FUNCTION operator_actions_append_only();
CREATE TRIGGER operator_actions_sealed_once BEFORE UPDATE ON operator_actions
    FOR EACH ROW EXECUTE FUNCTION sealed_once();

INSERT INTO seal_heads (chain, book_seq, hash) VALUES ('operator_actions', 0, decode(repeat('00', 32), 'hex'));
