-- The step log is kept by months, like the inbox (the kit's `keep_months`).
ALTER TABLE saga_log RENAME TO saga_log_before;
ALTER TABLE saga_log_before RENAME CONSTRAINT saga_log_pkey TO saga_log_before_pkey;
CREATE TABLE saga_log (LIKE saga_log_before, PRIMARY KEY (saga_id, epoch, seq)) PARTITION BY RANGE (saga_id);
CREATE TABLE saga_log_rest PARTITION OF saga_log DEFAULT;
INSERT INTO saga_log SELECT * FROM saga_log_before;
DROP TABLE saga_log_before;
SELECT keep_months('saga_log', 2);
