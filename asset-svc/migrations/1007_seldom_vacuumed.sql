-- See the kit's 0012. Balances are few and change all the time: they stay as they are.
SELECT vacuum_seldom(name) FROM unnest(ARRAY['holds', 'ledger_tx', 'postings']) AS name;
