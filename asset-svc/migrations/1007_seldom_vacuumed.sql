-- See the kit's 0012. Balances are few and change all the time: they stay as they are. Each row of
-- `ledger_tx` leaves a dead version elsewhere when it is sealed: a million of them take some 250 MB, and are used again.
SELECT vacuum_seldom(name) FROM unnest(ARRAY['holds', 'ledger_tx', 'postings']) AS name;
