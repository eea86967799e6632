from typing import ClassVar

from django.db import models


class DailyCount(models.Model):
    """How often one action happened on one day (UTC), and the money it was about, in minor units by currency."""

    day = models.DateField()
    name = models.TextField()
    currency = models.TextField(default="", blank=True)
    count = models.BigIntegerField()
    amount = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "daily counts"
        ordering: ClassVar = ["-day", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "name", "currency"], name="analytics_dailycount_one_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.name}: {self.count}"


class DraftCount(models.Model):
    """A day's figures as a rebuild counts them anew, one set for each rebuild; gone when it is done."""

    pk = models.CompositePrimaryKey("draft_id", "day", "name", "currency")
    draft_id = models.UUIDField()
    day = models.DateField()
    name = models.TextField()
    currency = models.TextField(default="", blank=True)
    count = models.BigIntegerField()
    amount = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.draft_id} {self.day} {self.name}: {self.count}"
