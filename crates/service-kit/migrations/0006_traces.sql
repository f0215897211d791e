-- The trace in which a verdict was reached, as W3C `traceparent`; only where that trace is recorded, so that it costs
-- nothing elsewhere. The outbox has had its own from the beginning.
ALTER TABLE inbox ADD COLUMN traceparent text;
