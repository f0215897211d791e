-- See the kit's 0010.
SELECT sample_little(name) FROM unnest(ARRAY['sagas', 'saga_requests', 'saga_log']) AS name;
