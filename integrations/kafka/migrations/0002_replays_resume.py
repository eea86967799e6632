from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("kafka", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="replay",
            name="after",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="replay",
            name="effects",
            field=models.JSONField(db_default=[], default=list),
        ),
        migrations.AddField(
            model_name="replay",
            name="mended",
            field=models.IntegerField(db_default=0, default=0),
        ),
    ]
