import shop.kernel.ids
from django.db import migrations, models

# A ledger that can be rewritten proves nothing.
APPEND_ONLY = [
    """
    CREATE FUNCTION payments_posting_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'payments_posting is append-only' USING ERRCODE = 'restrict_violation'; END $$
    """,
    """
    CREATE TRIGGER payments_posting_append_only BEFORE UPDATE OR DELETE ON payments_posting
    FOR EACH ROW EXECUTE FUNCTION payments_posting_append_only()
    """,
    """
    CREATE TRIGGER payments_posting_not_emptied BEFORE TRUNCATE ON payments_posting
    FOR EACH STATEMENT EXECUTE FUNCTION payments_posting_append_only()
    """,
]
NOT_ANY_MORE = [
    "DROP TRIGGER payments_posting_not_emptied ON payments_posting",
    "DROP TRIGGER payments_posting_append_only ON payments_posting",
    "DROP FUNCTION payments_posting_append_only()",
]


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0002_refunds'),
    ]

    operations = [
        migrations.CreateModel(
            name='Posting',
            fields=[
                ('id', models.UUIDField(default=shop.kernel.ids.new_id, primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=[('capture', 'capture'), ('fee', 'fee'), ('sale', 'sale'), ('refund', 'refund'), ('refund_of_sale', 'refund_of_sale'), ('reversal', 'reversal'), ('reversal_of_sale', 'reversal_of_sale')])),
                ('source_id', models.UUIDField()),
                ('order_id', models.UUIDField()),
                ('attempt_id', models.UUIDField()),
                ('gateway', models.TextField()),
                ('debit', models.TextField(choices=[('gateway_receivable', 'gateway_receivable'), ('customer_liability', 'customer_liability'), ('revenue', 'revenue'), ('refunds', 'refunds'), ('fees', 'fees')])),
                ('credit', models.TextField(choices=[('gateway_receivable', 'gateway_receivable'), ('customer_liability', 'customer_liability'), ('revenue', 'revenue'), ('refunds', 'refunds'), ('fees', 'fees')])),
                ('amount', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'payments_posting',
                'ordering': ['-id'],
            },
        ),
        migrations.AddIndex(
            model_name='posting',
            index=models.Index(fields=['attempt_id'], name='payments_posting_attempt'),
        ),
        migrations.AddIndex(
            model_name='posting',
            index=models.Index(fields=['order_id'], name='payments_posting_order'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.UniqueConstraint(fields=('kind', 'source_id'), name='payments_posting_once'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='payments_posting_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(('debit', models.F('credit')), _negated=True), name='payments_posting_two_accounts'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['capture', 'fee', 'sale', 'refund', 'refund_of_sale', 'reversal', 'reversal_of_sale'])), name='payments_posting_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(('credit__in', ['gateway_receivable', 'customer_liability', 'revenue', 'refunds', 'fees']), ('debit__in', ['gateway_receivable', 'customer_liability', 'revenue', 'refunds', 'fees'])), name='payments_posting_accounts_known'),
        ),
        migrations.RunSQL(APPEND_ONLY, NOT_ANY_MORE),
    ]
