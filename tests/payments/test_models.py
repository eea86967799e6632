"""What the database itself refuses."""

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection

from orders.dto import OrderView
from payments.models import Attempt, Callback, Move
from payments.states import OPEN
from shop.kernel.ids import new_id
from tests.payments.factories import received

pytestmark = pytest.mark.django_db


def copy_of(attempt: Attempt, **other: Any) -> Attempt:
    """Return another attempt, not yet saved."""
    attempt.pk = new_id()
    attempt.reference, attempt.session_id = f"ref-{attempt.pk}", f"sess-{attempt.pk}"
    for name, value in other.items():
        setattr(attempt, name, value)
    return attempt


@pytest.mark.parametrize("status", sorted(status.value for status in OPEN))
def test_an_order_has_one_open_attempt(status: str, pending: Attempt) -> None:
    with pytest.raises(IntegrityError, match="payments_attempt_one_open"):
        copy_of(pending, status=status).save(force_insert=True)


@pytest.mark.parametrize(
    ("other", "constraint"),
    [
        ({"status": "cancelled", "amount": 0}, "payments_attempt_amount_positive"),
        ({"status": "succeeded", "captured": 1}, "payments_attempt_captured_whole"),
        ({"status": "failed", "captured": 2_870}, "payments_attempt_captured_whole"),
        ({"status": "cancelled", "session_id": ""}, "payments_attempt_session_known"),
        ({"status": "refunded"}, "payments_attempt_status_known"),
    ],
)
def test_an_attempt_adds_up(other: dict[str, Any], constraint: str, pending: Attempt) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        copy_of(pending, **other).save(force_insert=True)


def test_a_session_belongs_to_one_attempt(pending: Attempt) -> None:
    session_id = pending.session_id

    with pytest.raises(IntegrityError, match="payments_attempt_session"):
        copy_of(pending, status="cancelled", session_id=session_id).save(force_insert=True)


def test_an_event_is_stored_once_a_gateway(now: datetime) -> None:
    received("sess_1", now, event_id="evt_1")
    callback = Callback.objects.get()
    callback.pk = new_id()

    with pytest.raises(IntegrityError, match="payments_callback_event"):
        callback.save(force_insert=True)


@pytest.mark.parametrize("statement", ["UPDATE payments_move SET why = 'rewritten'", "DELETE FROM payments_move"])
def test_history_is_append_only(statement: str, pending: Attempt) -> None:
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_rows_name_themselves(pending: Attempt, order: OrderView, now: datetime) -> None:
    received(pending.session_id, now, event_id="evt_9")

    assert str(pending) == pending.reference
    assert str(pending.payable) == order.number
    assert str(Move.objects.filter(attempt=pending).first()) == "- -> created"
    assert str(Callback.objects.get()) == "session.paid evt_9"
