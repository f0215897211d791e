-- See the kit's 0012.
SELECT vacuum_seldom(name) FROM unnest(ARRAY['orders', 'matches', 'trades']) AS name;
