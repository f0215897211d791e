-- See the kit's 0010.
SELECT sample_little(name) FROM unnest(ARRAY['orders', 'matches', 'trades']) AS name;
