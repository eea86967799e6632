from typing import ClassVar

from django.db import models


class Watch(models.Model):
    """What the clocks showed when deadlines of one kind were last looked at, and until when none is enforced."""

    class State(models.TextChoices):
        STEADY = "steady"
        SETTLING = "settling"
        DISAGREEING = "disagreeing"

    what = models.TextField(primary_key=True)
    state = models.TextField(choices=State)
    seen_at = models.DateTimeField()
    # How long which machine had been up at that instant: the time that really passed, whatever its clock says.
    boot_id = models.TextField()
    up_seconds = models.FloatField()
    suspended_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "clockwatch_watch"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=["steady", "settling", "disagreeing"]), name="clockwatch_watch_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what}: {self.state}"
