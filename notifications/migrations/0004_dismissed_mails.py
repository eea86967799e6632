from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

_BEFORE = ["pending", "sending", "sent", "unconfirmed", "dead"]
_NOW = [*_BEFORE, "dismissed"]


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0003_webhooks'),
    ]

    operations = [
        migrations.AlterField(
            model_name='mail',
            name='state',
            field=models.TextField(choices=[(state, state) for state in _NOW], db_default='pending', default='pending'),
        ),
        # The rows that are there kept the narrower ones; 0005 looks at them without keeping anybody waiting.
        migrations.RemoveConstraint(model_name='mail', name='notifications_mail_state_known'),
        migrations.RemoveConstraint(model_name='mail', name='notifications_mail_due_while_waiting'),
        AddConstraintNotValid(
            model_name='mail',
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=_NOW), name='notifications_mail_state_known'
            ),
        ),
        AddConstraintNotValid(
            model_name='mail',
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=['pending', 'sending'], next_attempt_at__isnull=False)
                | models.Q(state__in=['sent', 'unconfirmed', 'dead', 'dismissed'], next_attempt_at__isnull=True),
                name='notifications_mail_due_while_waiting',
            ),
        ),
        # On the way back what was dismissed is given up again.
        migrations.RunSQL(
            migrations.RunSQL.noop, "UPDATE notifications_mail SET state = 'dead' WHERE state = 'dismissed'"
        ),
    ]
