-- The same key in another order. In one database nearly all events are of one or two types, so with the type in front
-- each step down the index compared two texts where one decides.
ALTER TABLE outbox DROP CONSTRAINT outbox_one_event_per_change;
ALTER TABLE outbox ADD CONSTRAINT outbox_one_event_per_change UNIQUE (aggregateid, aggregatetype, seq);
