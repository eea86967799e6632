from django.db import migrations

# What was captured before there was a ledger; from then on a capture and its posting commit together.
PAST_CAPTURES = """
INSERT INTO payments_posting (id, kind, source_id, order_id, attempt_id, gateway, debit, credit, amount, currency, at)
SELECT gen_random_uuid(), 'capture', id, order_id, id, gateway, 'gateway_receivable', 'customer_liability', captured,
       currency, moved_at
FROM payments_attempt
WHERE captured > 0
ON CONFLICT (kind, source_id) DO NOTHING
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0004_findings'),
    ]

    operations = [
        # On the way back the ledger goes as a whole.
        migrations.RunSQL(PAST_CAPTURES, migrations.RunSQL.noop),
    ]
