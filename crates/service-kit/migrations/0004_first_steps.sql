-- What the orchestrator sent along with a saga's first steps: from it a saga that the orchestrator has lost is rebuilt.
ALTER TABLE inbox ADD COLUMN intent bytea;

-- Anti-entropy reads the inbox in the order of time, once. A block range index costs writers next to nothing.
CREATE INDEX inbox_decided ON inbox USING brin (decided_at) WITH (autosummarize = on);
