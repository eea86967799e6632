"""Counting: every action once, in one statement a batch, whatever is delivered again or fails half-way."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date

import pytest
from django.db import connection
from prometheus_client import REGISTRY

from integrations.analytics.models import DailyCount
from integrations.analytics.services import amount_of, count
from shop.kernel.ids import new_id
from shop.kernel.outbox.services import publish
from shop.kernel.transactions import TransactionMisuse, UnitOfWork, open_unit_of_work, unit_of_work
from tests.conftest import Statements
from tests.races import be_patient
from tests.shop.kernel.outbox.factories import action

pytestmark = pytest.mark.django_db(transaction=True)
DAY = date(2026, 11, 22)


def counted() -> dict[tuple[str, str], tuple[int, int]]:
    """Return count and amount by name and currency; all actions of these tests are of one day."""
    assert set(DailyCount.objects.values_list("day", flat=True)) <= {DAY}
    return {(row.name, row.currency): (row.count, row.amount) for row in DailyCount.objects.all()}


def value_of(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


@pytest.fixture
def added() -> Callable[[str], float]:
    """Return a function that tells by how much an action's counter has grown since the test began."""
    names = ("Cart Viewed", "Order Completed", "Product Added")
    before = {name: value_of("shop_user_actions_total", name=name) for name in names}
    return lambda name: value_of("shop_user_actions_total", name=name) - before[name]


@unit_of_work
def counting_and_failing() -> None:
    count(action=action(user_id=new_id()))
    raise LookupError


@pytest.mark.parametrize("actions", [1, 30])
def test_all_actions_of_a_batch_are_one_statement(
    statements: Callable[[], AbstractContextManager[Statements]], actions: int
) -> None:
    with statements() as seen, open_unit_of_work():
        for number in range(actions):
            count(action=action(user_id=new_id(), name=f"Name {number % 7}", currency="EUR", amount=1))

    assert len(seen) == 1
    assert sum(number for number, _ in counted().values()) == actions


def test_actions_and_their_money_add_up_by_day_name_and_currency(added: Callable[[str], float]) -> None:
    revenue = value_of("shop_user_actions_amount_total", name="Order Completed", currency="JPY")

    for _ in range(2):
        with open_unit_of_work():
            count(action=action(user_id=new_id(), name="Order Completed", currency="EUR", amount=1_000))
            count(action=action(user_id=new_id(), name="Order Completed", currency="EUR", amount=500))
            count(action=action(user_id=new_id(), name="Order Completed", currency="JPY", amount=700))
            count(action=action(user_id=new_id(), name="Cart Viewed"))

    assert counted() == {
        ("Order Completed", "EUR"): (4, 3_000),
        ("Order Completed", "JPY"): (2, 1_400),
        ("Cart Viewed", ""): (2, 0),
    }
    assert (added("Order Completed"), added("Cart Viewed")) == (6, 2)
    assert value_of("shop_user_actions_amount_total", name="Order Completed", currency="JPY") == revenue + 1_400


@pytest.mark.parametrize(
    ("properties", "amount"),
    [
        ({"amount": 100}, 100),
        ({"value": 200, "item_count": 3}, 200),
        ({"price": 150, "quantity": 2}, 300),
        ({"price": 150}, 0),
        ({"amount": "100"}, 0),
        ({"amount": None}, 0),
        ({}, 0),
    ],
)
def test_the_money_an_action_is_about(properties: dict[str, str | int | bool | None], amount: int) -> None:
    assert amount_of(properties) == amount


def test_an_action_is_counted_with_the_callers_work_or_not_at_all(added: Callable[[str], float]) -> None:
    with pytest.raises(TransactionMisuse):
        count(action=action(user_id=new_id()))
    with pytest.raises(LookupError):
        counting_and_failing()

    assert counted() == {}
    assert added("Cart Viewed") == 0


def test_an_action_whose_handler_fails_is_not_counted_and_its_neighbours_are() -> None:
    def fail(unit: UnitOfWork) -> None:
        with unit.savepoint():
            count(action=action(user_id=new_id(), name="Product Added"))
            raise LookupError

    with open_unit_of_work() as unit:
        count(action=action(user_id=new_id(), name="Cart Viewed"))
        with pytest.raises(LookupError):
            fail(unit)
        count(action=action(user_id=new_id(), name="Cart Viewed"))

    assert counted() == {("Cart Viewed", ""): (2, 0)}


def test_what_is_delivered_again_is_counted_once(consumed: Callable[..., None], added: Callable[[str], float]) -> None:
    with open_unit_of_work():
        for number in range(5):
            publish(action(user_id=new_id(), name="Product Added", price=100, quantity=number, currency="EUR"))

    consumed("analytics")
    consumed("analytics")

    assert counted() == {("Product Added", "EUR"): (5, 1_000)}
    assert added("Product Added") == 5


def test_two_consumers_with_the_same_names_in_opposite_order_do_not_block_each_other() -> None:
    names = [f"Name {number}" for number in range(20)]
    rounds, together = 25, threading.Barrier(2)
    failures: list[BaseException] = []

    def consume(order: list[str]) -> None:
        try:
            be_patient()
            for _ in range(rounds):
                together.wait(60)
                with open_unit_of_work():
                    for name in order:
                        count(action=action(user_id=new_id(), name=name))
        except BaseException as error:  # noqa: BLE001  shown by the assertion below
            failures.append(error)
            together.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=consume, args=[order]) for order in (names, names[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)

    assert failures == []
    assert counted() == {(name, ""): (2 * rounds, 0) for name in names}
