from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("kafka", "0002_replays_resume"),
    ]

    operations = [
        migrations.AlterField(
            model_name="parked",
            name="state",
            field=models.TextField(
                choices=[("waiting", "Waiting"), ("dead", "Dead"), ("dismissed", "Dismissed")], default="waiting"
            ),
        ),
        # On the way back what was dismissed is given up again.
        migrations.RunSQL(migrations.RunSQL.noop, "UPDATE kafka_parked SET state = 'dead' WHERE state = 'dismissed'"),
    ]
