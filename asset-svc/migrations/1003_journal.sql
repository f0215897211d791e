-- The journal: one row per movement, its postings, and triggers that make both append-only and balanced.

CREATE TABLE ledger_tx (
    tx_id        uuid        NOT NULL PRIMARY KEY,
    -- HOLD, RELEASE, SETTLE, DEPOSIT, WITHDRAW, TRANSFER
    kind         text        NOT NULL,
    -- `saga:<id>`, `trade:<id>` or `actor:<who>`
    caused_by    text        NOT NULL,
    actor        text,
    reason       text,
    channel      text,
    external_ref text,
    -- Set by the executor to the database's clock at the start of the batch.
    created_at   timestamptz NOT NULL,
    -- Written once, later, by the sealer: the gap-free order of the book and its hash chain.
    book_seq     bigint      UNIQUE,
    prev_hash    bytea,
    hash         bytea,
    CONSTRAINT ledger_tx_kind_known
        CHECK (kind IN ('HOLD', 'RELEASE', 'SETTLE', 'DEPOSIT', 'WITHDRAW', 'TRANSFER')),
    CONSTRAINT ledger_tx_reference_has_channel CHECK ((channel IS NULL) = (external_ref IS NULL)),
    CONSTRAINT ledger_tx_transfer_has_reason CHECK (kind <> 'TRANSFER' OR reason IS NOT NULL),
    CONSTRAINT ledger_tx_sealed_whole
        CHECK ((book_seq IS NULL) = (hash IS NULL) AND (book_seq IS NULL) = (prev_hash IS NULL))
);

CREATE UNIQUE INDEX ledger_tx_external_ref_once ON ledger_tx (channel, external_ref) WHERE channel IS NOT NULL;

-- Customers' accounts (1 available, 2 held) have a running balance, a gap-free `account_seq`, and a `statement_seq`
-- that counts both accounts of (owner, asset) together, which is the order of a statement. House accounts (3 fees,
-- 4 inventory, 5 suspense, 6 rounding) and the world outside (7) are append-only: no running balance, so that trades
-- of different customers never wait for each other.
CREATE TABLE postings (
    tx_id         uuid           NOT NULL,
    line          smallint       NOT NULL,
    owner         text           NOT NULL,
    asset         text           NOT NULL,
    kind          smallint       NOT NULL,
    amount        numeric(26, 8) NOT NULL,
    account_seq   bigint,
    balance_after numeric(26, 8),
    statement_seq bigint,
    PRIMARY KEY (tx_id, line),
    CONSTRAINT postings_account_seq_once UNIQUE (owner, asset, kind, account_seq),
    CONSTRAINT postings_amount_moves CHECK (amount <> 0),
    CONSTRAINT postings_owner_fits_kind CHECK (CASE
        WHEN kind IN (1, 2) THEN owner NOT IN ('house', 'external')
        WHEN kind BETWEEN 3 AND 6 THEN owner = 'house'
        ELSE kind = 7 AND owner = 'external' END),
    CONSTRAINT postings_running_balance CHECK (CASE
        WHEN kind IN (1, 2) THEN coalesce(account_seq >= 1 AND statement_seq >= account_seq AND balance_after >= 0, false)
        ELSE account_seq IS NULL AND statement_seq IS NULL AND balance_after IS NULL END)
);

-- One aggregated check per statement; each journal transaction's postings arrive in one statement.
CREATE FUNCTION postings_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM fresh GROUP BY tx_id, asset HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'postings of a journal transaction do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balanced';
    END IF;
    IF EXISTS (SELECT 1 FROM fresh LEFT JOIN ledger_tx t USING (tx_id) WHERE t.tx_id IS NULL) THEN
        RAISE EXCEPTION 'postings without their journal transaction'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'postings_have_ledger_tx';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER postings_balanced AFTER INSERT ON postings REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION postings_balanced();

CREATE FUNCTION journal_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON postings
    FOR EACH ROW EXECUTE FUNCTION journal_append_only();
CREATE TRIGGER postings_never_truncated BEFORE TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only();
CREATE TRIGGER ledger_tx_append_only BEFORE DELETE ON ledger_tx
    FOR EACH ROW EXECUTE FUNCTION journal_append_only();
CREATE TRIGGER ledger_tx_never_truncated BEFORE TRUNCATE ON ledger_tx
    FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only();

-- The sealer's columns are written once, all together; nothing else ever changes.
CREATE FUNCTION ledger_tx_sealed_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.book_seq IS NULL AND NEW.book_seq IS NOT NULL
       AND to_jsonb(NEW) - ARRAY['book_seq', 'prev_hash', 'hash']
         = to_jsonb(OLD) - ARRAY['book_seq', 'prev_hash', 'hash'] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'ledger_tx is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER ledger_tx_sealed_once BEFORE UPDATE ON ledger_tx
    FOR EACH ROW EXECUTE FUNCTION ledger_tx_sealed_once();

REVOKE UPDATE, DELETE, TRUNCATE ON ledger_tx, postings FROM PUBLIC;
