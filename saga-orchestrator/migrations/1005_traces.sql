-- The span that drives a saga, as W3C `traceparent`, so that whoever takes the saga over goes on in its trace. Only of
-- traces that are recorded.
ALTER TABLE sagas ADD COLUMN traceparent text;
