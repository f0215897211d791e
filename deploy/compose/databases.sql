-- One database per service, each with its own role, which may replicate for change data capture.
CREATE ROLE order_svc LOGIN REPLICATION;
CREATE DATABASE order_svc OWNER order_svc;
CREATE ROLE asset_svc LOGIN REPLICATION;
CREATE DATABASE asset_svc OWNER asset_svc;
CREATE ROLE saga_orchestrator LOGIN REPLICATION;
CREATE DATABASE saga_orchestrator OWNER saga_orchestrator;
