-- What the ledger refers to: assets, tiers and customers.

-- A currency or security. Its scales never change, so services may keep a row they have seen for ever.
CREATE TABLE assets (
    asset          text        NOT NULL PRIMARY KEY,
    ledger_scale   smallint    NOT NULL,
    transfer_scale smallint    NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT assets_ledger_scale_known CHECK (ledger_scale BETWEEN 0 AND 8),
    CONSTRAINT assets_transfer_within_ledger CHECK (transfer_scale BETWEEN 0 AND ledger_scale)
);

CREATE FUNCTION assets_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the scales of an asset never change' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER assets_immutable BEFORE UPDATE OR DELETE ON assets
    FOR EACH ROW EXECUTE FUNCTION assets_immutable();

-- Commission as data. A changed rate counts for holds placed from then on; each hold keeps the rate it began with.
CREATE TABLE tiers (
    tier    text    NOT NULL PRIMARY KEY,
    fee_ppm integer NOT NULL,
    CONSTRAINT tiers_known CHECK (tier IN ('STANDARD', 'PREMIUM', 'VIP')),
    CONSTRAINT tiers_fee_is_a_share CHECK (fee_ppm BETWEEN 0 AND 1000000)
);

INSERT INTO tiers (tier, fee_ppm) VALUES ('STANDARD', 0), ('PREMIUM', 0), ('VIP', 0);

CREATE TABLE customers (
    customer_id text        NOT NULL PRIMARY KEY,
    name        text        NOT NULL,
    tier        text        NOT NULL REFERENCES tiers,
    state       text        NOT NULL,
    version     bigint      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT customers_state_known CHECK (state IN ('ACTIVE', 'FROZEN')),
    CONSTRAINT customers_version_counts CHECK (version >= 1),
    -- These two own the accounts that belong to no customer.
    CONSTRAINT customers_not_reserved CHECK (customer_id NOT IN ('house', 'external'))
);
