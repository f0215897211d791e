-- Anti-entropy reads first steps in the order of time, in pages. By block ranges every page read, and sorted, everything
-- since the last look, or the whole table where the ranges were not summed up yet. New entries come at the end of this
-- index, and a verdict that is taken back does not change it.
DROP INDEX inbox_decided;
CREATE INDEX inbox_first_steps ON inbox (decided_at, saga_id) WHERE intent IS NOT NULL;
