from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Watch',
            fields=[
                ('what', models.TextField(primary_key=True, serialize=False)),
                ('state', models.TextField(choices=[('steady', 'Steady'), ('settling', 'Settling'), ('disagreeing', 'Disagreeing')])),
                ('seen_at', models.DateTimeField()),
                ('boot_id', models.TextField()),
                ('up_seconds', models.FloatField()),
                ('suspended_until', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'clockwatch_watch',
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['steady', 'settling', 'disagreeing'])), name='clockwatch_watch_state_known')],
            },
        ),
    ]
