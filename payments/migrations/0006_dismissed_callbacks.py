from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

_BEFORE = ["received", "applied", "parked", "quarantined", "dead"]
_NOW = [*_BEFORE, "dismissed"]


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0005_past_captures'),
    ]

    operations = [
        migrations.AlterField(
            model_name='callback',
            name='state',
            field=models.TextField(choices=[(state, state) for state in _NOW], db_default='received', default='received'),
        ),
        # The rows that are there kept the narrower one; 0007 looks at them without keeping anybody waiting.
        migrations.RemoveConstraint(model_name='callback', name='payments_callback_state_known'),
        AddConstraintNotValid(
            model_name='callback',
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=_NOW), name='payments_callback_state_known'
            ),
        ),
        # On the way back what was waved through is given up again.
        migrations.RunSQL(
            migrations.RunSQL.noop, "UPDATE payments_callback SET state = 'dead' WHERE state = 'dismissed'"
        ),
    ]
