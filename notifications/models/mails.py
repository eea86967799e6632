from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from notifications.dto import Template
from notifications.states import State
from shop.kernel.ids import new_id


class Mail(models.Model):
    """One mail to one person about one event, written in the transaction that handles the event, sent later.

    The row is what keeps a mail from being sent twice; it does not hold the words, which are made of the order
    when they are needed. `recipient` is the only copy of the address outside orders.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event_id = models.UUIDField()
    template = models.TextField(choices=[(template.value, template.value) for template in Template])
    recipient = models.TextField()
    language = models.TextField()
    order_id = models.UUIDField()
    order_number = models.TextField()
    user_id = models.UUIDField()
    guest = models.BooleanField()
    amount_minor = models.BigIntegerField()
    currency = models.TextField()
    failure_code = models.TextField(default="", db_default="")
    cause = models.TextField(default="", db_default="")
    payment_id = models.UUIDField(null=True)
    # The request that began it all: mails are sent many at a time, and each goes on with its own trace.
    correlation_id = models.TextField(default="", db_default="")
    occurred_at = models.DateTimeField()
    state = models.TextField(
        choices=[(state.value, state.value) for state in State],
        default=State.PENDING.value,
        db_default=State.PENDING.value,
    )
    attempts = models.IntegerField(default=0, db_default=0)
    # How often a person has asked for the mail again.
    resends = models.IntegerField(default=0, db_default=0)
    # Pending: when to try. Sending: when whoever claimed the mail is given up for lost.
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField(default="", db_default="")
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "notifications_mail"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["event_id", "template", "recipient"], name="notifications_mail_once_per_event"
            ),
            models.CheckConstraint(
                name="notifications_mail_state_known", condition=Q(state__in=[state.value for state in State])
            ),
            models.CheckConstraint(name="notifications_mail_has_recipient", condition=~Q(recipient="")),
            models.CheckConstraint(
                name="notifications_mail_due_while_waiting",
                condition=Q(state__in=[State.PENDING.value, State.SENDING.value], next_attempt_at__isnull=False)
                | Q(
                    state__in=[State.SENT.value, State.UNCONFIRMED.value, State.DEAD.value, State.DISMISSED.value],
                    next_attempt_at__isnull=True,
                ),
            ),
            models.CheckConstraint(
                name="notifications_mail_sent_when_sent",
                condition=~Q(state=State.SENT.value) | Q(sent_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="notifications_mail_due"
            ),
            models.Index(
                fields=["state"],
                condition=~Q(state__in=[State.SENT.value, State.DISMISSED.value]),
                name="notifications_mail_waiting",
            ),
            models.Index(fields=["order_id"], name="notifications_mail_by_order"),
            models.Index(fields=["order_number"], name="notifications_mail_by_number"),
            models.Index(Lower("recipient"), name="notifications_mail_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.template} for {self.order_number}"
