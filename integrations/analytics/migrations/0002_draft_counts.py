from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DraftCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "draft_id", "day", "name", "currency", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("draft_id", models.UUIDField()),
                ("day", models.DateField()),
                ("name", models.TextField()),
                ("currency", models.TextField(blank=True, default="")),
                ("count", models.BigIntegerField()),
                ("amount", models.BigIntegerField(default=0)),
            ],
        ),
    ]
