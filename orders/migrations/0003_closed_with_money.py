from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# A big table takes its time, and whatever transaction is older is waited for.
_PATIENT = ["SET statement_timeout = 0", "SET lock_timeout = 0"]
_AS_EVER = ["RESET statement_timeout", "RESET lock_timeout"]


class Migration(migrations.Migration):

    # The index is built beside the orders that come in meanwhile.
    atomic = False

    dependencies = [
        ('orders', '0002_refunds'),
    ]

    operations = [
        migrations.RunSQL(_PATIENT, _AS_EVER),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(
                condition=models.Q(captured_minor__gt=0, status__in=['expired', 'cancelled']),
                fields=['updated_at'],
                name='orders_order_closed_with_money',
            ),
        ),
        migrations.RunSQL(_AS_EVER, _PATIENT),
    ]
