from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models

# A big table takes its time, and whatever transaction is older is waited for.
_PATIENT = ["SET statement_timeout = 0", "SET lock_timeout = 0"]
_AS_EVER = ["RESET statement_timeout", "RESET lock_timeout"]


class Migration(migrations.Migration):

    # An index is built beside the callbacks that come in meanwhile.
    atomic = False

    dependencies = [
        ('payments', '0006_dismissed_callbacks'),
    ]

    operations = [
        migrations.RunSQL(_PATIENT, _AS_EVER),
        ValidateConstraint(model_name='callback', name='payments_callback_state_known'),
        AddIndexConcurrently(
            model_name='callback',
            index=models.Index(
                condition=~models.Q(body=b''), fields=['received_at'], name='payments_callback_bodies'
            ),
        ),
        migrations.RunSQL(_AS_EVER, _PATIENT),
    ]
