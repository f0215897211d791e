-- The same keys in another order. Callers and kinds are few, so with them in front each step down the index compared two
-- texts and then the number that decides.
ALTER TABLE sagas DROP CONSTRAINT sagas_one_per_request;
ALTER TABLE sagas ADD CONSTRAINT sagas_one_per_request UNIQUE (request_id, caller, kind);
ALTER TABLE saga_requests DROP CONSTRAINT saga_requests_pkey;
ALTER TABLE saga_requests ADD PRIMARY KEY (request_id, caller, kind);
