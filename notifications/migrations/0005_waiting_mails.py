from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
from django.db import migrations, models

# A big table takes its time, and whatever transaction is older is waited for.
_PATIENT = ["SET statement_timeout = 0", "SET lock_timeout = 0"]
_AS_EVER = ["RESET statement_timeout", "RESET lock_timeout"]


class Migration(migrations.Migration):

    # An index is built beside the mails that are written meanwhile.
    atomic = False

    dependencies = [
        ('notifications', '0004_dismissed_mails'),
    ]

    operations = [
        migrations.RunSQL(_PATIENT, _AS_EVER),
        ValidateConstraint(model_name='mail', name='notifications_mail_state_known'),
        ValidateConstraint(model_name='mail', name='notifications_mail_due_while_waiting'),
        AddIndexConcurrently(
            model_name='mail',
            index=models.Index(
                condition=~models.Q(state__in=['sent', 'dismissed']), fields=['state'], name='notifications_mail_waiting'
            ),
        ),
        RemoveIndexConcurrently(model_name='mail', name='notifications_mail_unsent'),
        migrations.RunSQL(_AS_EVER, _PATIENT),
    ]
