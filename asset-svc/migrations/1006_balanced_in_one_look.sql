-- As before, in one look at the rows where there were two: beginning a query costs more than a small batch's rows do.
-- Which of the two it was is asked only once something is wrong.
CREATE OR REPLACE FUNCTION postings_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM fresh LEFT JOIN ledger_tx t ON t.tx_id = fresh.tx_id
                   GROUP BY fresh.tx_id, fresh.asset HAVING sum(fresh.amount) <> 0 OR count(t.tx_id) < count(*)) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT 1 FROM fresh GROUP BY tx_id, asset HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'postings of a journal transaction do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balanced';
    END IF;
    RAISE EXCEPTION 'postings without their journal transaction'
        USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'postings_have_ledger_tx';
END $$;
