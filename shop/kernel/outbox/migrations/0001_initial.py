"""The queue is an ordinary table; the log is made by hand, because Django cannot say PARTITION BY."""

from typing import ClassVar

from django.db import migrations, models

# Each statement by itself: the server takes one at a time, since all are prepared there.
LOG = [
    """
    CREATE TABLE event_log (
        id uuid NOT NULL PRIMARY KEY,
        topic text NOT NULL,
        type text NOT NULL,
        aggregate text NOT NULL,
        key uuid NOT NULL,
        sequence bigint NOT NULL,
        payload jsonb NOT NULL,
        headers jsonb NOT NULL,
        occurred_at timestamp with time zone NOT NULL
    ) PARTITION BY RANGE (id)
    """,
    "CREATE INDEX event_log_key ON event_log (key)",
    # Weeks are made ahead by keep_partitions; what falls outside all of them lands here: an insert never fails.
    "CREATE TABLE event_log_default PARTITION OF event_log DEFAULT",
    """
    CREATE FUNCTION event_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'event_log is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER event_log_append_only BEFORE UPDATE OR DELETE ON event_log
    FOR EACH ROW EXECUTE FUNCTION event_log_refuse_change()
    """,
]
UNDO_LOG = ["DROP TABLE event_log", "DROP FUNCTION event_log_refuse_change()"]

# Rows of the queue live for milliseconds and counters are bumped again and again: both are cleaned early.
CLEANING = [
    "ALTER TABLE outbox_pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)",
    "ALTER TABLE outbox_aggregate SET (fillfactor = 80)",
]


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Aggregate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "aggregate", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("aggregate", models.TextField()),
                ("key", models.UUIDField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={"db_table": "outbox_aggregate"},
        ),
        migrations.CreateModel(
            name="PendingEvent",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField()),
                ("key", models.UUIDField()),
                ("shard", models.SmallIntegerField()),
                (
                    "state",
                    models.TextField(
                        choices=[("pending", "Pending"), ("failed", "Failed")], db_default="pending", default="pending"
                    ),
                ),
                ("attempts", models.IntegerField(db_default=0, default=0)),
                ("last_error", models.TextField(blank=True, db_default="", default="")),
            ],
            options={
                "db_table": "outbox_pending",
                "ordering": ["position"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "failed")), fields=["key"], name="outbox_pending_failed"
                    )
                ],
            },
        ),
        migrations.RunSQL(CLEANING, reverse_sql=migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(LOG, reverse_sql=UNDO_LOG)],
            state_operations=[
                migrations.CreateModel(
                    name="LoggedEvent",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("topic", models.TextField()),
                        ("type", models.TextField()),
                        ("aggregate", models.TextField()),
                        ("key", models.UUIDField()),
                        ("sequence", models.BigIntegerField()),
                        ("payload", models.JSONField()),
                        ("headers", models.JSONField()),
                        ("occurred_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "event_log",
                        "ordering": ["id"],
                        "indexes": [models.Index(fields=["key"], name="event_log_key")],
                    },
                ),
            ],
        ),
    ]
