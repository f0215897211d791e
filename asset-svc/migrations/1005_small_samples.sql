-- See the kit's 0010.
SELECT sample_little(name) FROM unnest(ARRAY['balances', 'holds', 'ledger_tx', 'postings']) AS name;
