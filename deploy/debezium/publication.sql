-- Run once by the owner of event_log, before the connector starts: `psql "$DATABASE_URL" -f publication.sql`.
-- The server needs wal_level = logical, and should have max_slot_wal_keep_size set (see docs/scaling.md).

-- Under the name of the partitioned table, whichever week a row lands in; weeks to come are included by themselves.
CREATE PUBLICATION shop_event_log FOR TABLE event_log
    WITH (publish = 'insert', publish_via_partition_root = true);

-- What the connector may do: read changes, and nothing else.
CREATE ROLE shop_debezium WITH LOGIN REPLICATION;
GRANT SELECT ON event_log TO shop_debezium;
