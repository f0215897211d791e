-- See the kit's 0012. A saga that has ended leaves a dead entry in the index that recovery goes through
-- (`sagas_active`), so there may be fewer of them: 200,000 take it some 6 ms.
SELECT vacuum_seldom('sagas', 200000), vacuum_seldom('saga_requests'), vacuum_seldom('saga_log');
