from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("outbox", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="pendingevent",
            name="replay_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="pendingevent",
            name="replay_target",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
    ]
