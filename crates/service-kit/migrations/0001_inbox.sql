-- One row per (saga, step): what was decided, for ever. Do and compensate are operations on that row.
CREATE TABLE inbox (
    saga_id      uuid        NOT NULL,
    step         smallint    NOT NULL,
    verdict      smallint    NOT NULL,
    reason       text,
    detail       text,
    request_hash bytea       NOT NULL,
    epoch        bigint      NOT NULL,
    command      text        NOT NULL,
    effect       jsonb       NOT NULL DEFAULT 'null',
    answer       bytea       NOT NULL DEFAULT '',
    decided_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (saga_id, step),
    -- 1 DONE, 2 REJECTED, 3 COMPENSATED, 4 TOMBSTONE
    CONSTRAINT inbox_verdict_known CHECK (verdict BETWEEN 1 AND 4),
    CONSTRAINT inbox_refusal_has_reason CHECK (verdict = 1 OR reason IS NOT NULL)
) WITH (fillfactor = 90);
