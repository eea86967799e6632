import django.db.models.deletion
import shop.kernel.ids
from django.db import migrations, models

# A refund's history is history: a row is written once.
APPEND_ONLY = [
    """
    CREATE FUNCTION payments_refund_move_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'payments_refund_move is append-only' USING ERRCODE = 'restrict_violation'; END $$
    """,
    """
    CREATE TRIGGER payments_refund_move_append_only BEFORE UPDATE OR DELETE ON payments_refund_move
    FOR EACH ROW EXECUTE FUNCTION payments_refund_move_append_only()
    """,
]
NOT_ANY_MORE = [
    "DROP TRIGGER payments_refund_move_append_only ON payments_refund_move",
    "DROP FUNCTION payments_refund_move_append_only()",
]


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.UUIDField(default=shop.kernel.ids.new_id, primary_key=True, serialize=False)),
                ('attempt', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='payments.attempt')),
                ('gateway', models.TextField()),
                ('gateway_refund_id', models.TextField(blank=True, db_default='', default='')),
                ('status', models.TextField(choices=[('requested', 'requested'), ('submitted', 'submitted'), ('unknown', 'unknown'), ('succeeded', 'succeeded'), ('rejected', 'rejected'), ('reversed', 'reversed')])),
                ('amount', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('cause', models.TextField(choices=[('requested', 'requested'), ('late_payment', 'late_payment'), ('double_payment', 'double_payment'), ('surplus', 'surplus'), ('underpaid', 'underpaid'), ('cancelled', 'cancelled'), ('external', 'external')])),
                ('reason', models.TextField(blank=True, db_default='', default='')),
                ('failure_code', models.TextField(blank=True, db_default='', default='')),
                ('review_reason', models.TextField(blank=True, db_default='', default='')),
                ('due_event_id', models.UUIDField(null=True, unique=True)),
                ('tries', models.IntegerField(db_default=0, default=0)),
                ('next_try_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField()),
                ('moved_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'payments_refund',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='RefundMove',
            fields=[
                ('id', models.UUIDField(default=shop.kernel.ids.new_id, primary_key=True, serialize=False)),
                ('refund', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='moves', to='payments.refund')),
                ('at', models.DateTimeField()),
                ('from_status', models.TextField(blank=True)),
                ('to_status', models.TextField()),
                ('source', models.TextField(choices=[('start', 'start'), ('callback', 'callback'), ('poll', 'poll'), ('reader', 'reader'), ('shopper', 'shopper'), ('expiry', 'expiry'), ('order_cancelled', 'order_cancelled'), ('order', 'order'), ('staff', 'staff'), ('reconciliation', 'reconciliation')])),
                ('why', models.TextField(blank=True, db_default='', default='')),
            ],
            options={
                'db_table': 'payments_refund_move',
                'ordering': ['id'],
            },
        ),
        migrations.AddField(
            model_name='attempt',
            name='gateway_payment_id',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddField(
            model_name='attempt',
            name='refund_held',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='attempt',
            name='refunded',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='callback',
            name='concerns_refunds',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name='move',
            name='source',
            field=models.TextField(choices=[('start', 'start'), ('callback', 'callback'), ('poll', 'poll'), ('reader', 'reader'), ('shopper', 'shopper'), ('expiry', 'expiry'), ('order_cancelled', 'order_cancelled'), ('order', 'order'), ('staff', 'staff'), ('reconciliation', 'reconciliation')]),
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('gateway_payment_id', ''), _negated=True), fields=['gateway', 'gateway_payment_id'], name='payments_attempt_gateway_money'),
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.CheckConstraint(condition=models.Q(('refund_held__lte', models.F('captured')), ('refunded__gte', 0), ('refunded__lte', models.F('refund_held'))), name='payments_attempt_refunds_within_captured'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['attempt', 'id'], name='payments_refund_attempt'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('next_try_at__isnull', False)), fields=['next_try_at'], name='payments_refund_due'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('review_reason', ''), _negated=True), fields=['id'], name='payments_refund_review'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(condition=models.Q(('gateway_refund_id', ''), _negated=True), fields=('gateway', 'gateway_refund_id'), name='payments_refund_gateway_refund'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['requested', 'submitted', 'unknown', 'succeeded', 'rejected', 'reversed'])), name='payments_refund_status_known'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='payments_refund_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['succeeded', 'reversed']), _negated=True), models.Q(('gateway_refund_id', ''), _negated=True), _connector='OR'), name='payments_refund_done_is_known_there'),
        ),
        migrations.AddIndex(
            model_name='refundmove',
            index=models.Index(fields=['refund', 'id'], name='payments_refund_move_refund'),
        ),
        migrations.RunSQL(APPEND_ONLY, NOT_ANY_MORE),
    ]
