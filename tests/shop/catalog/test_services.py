from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction

from shop.catalog import services
from shop.catalog.dto import ProductFile, Stored, TaxClass
from shop.catalog.models import Article, Price, Product
from shop.catalog.queries import offers
from shop.inventory.dto import Wanted
from shop.inventory.queries import available
from shop.inventory.services import reserve
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work
from tests.shop.catalog.factories import article, bring_in, product

pytestmark = pytest.mark.django_db
Counting = Callable[[], AbstractContextManager[list[str]]]


def as_file(*products: object, currencies: frozenset[str] = frozenset({"EUR"})) -> ProductFile:
    return ProductFile(products=products, refused=(), currencies=currencies)  # type: ignore[arg-type]  # of factories


def test_new_articles_come_with_price_and_stock() -> None:
    stored = bring_in(product(article("MUG-R", name="Mug / Red"), article("MUG-B", on_hand=None)))

    assert stored == Stored(new=2, stocked=2)
    assert available(skus=["MUG-R", "MUG-B"]) == {"MUG-R": 5, "MUG-B": 0}
    assert [row.name for row in Article.objects.all()] == ["Mug / Red", "Mug"]
    assert Price.objects.filter(currency="EUR", amount=1650).count() == 2


def test_the_same_file_again_changes_nothing() -> None:
    bring_in(product())
    before = [list(model.objects.order_by("pk").values()) for model in (Product, Article, Price)]

    stored = bring_in(product())

    assert stored == Stored(unchanged=1)
    assert [list(model.objects.order_by("pk").values()) for model in (Product, Article, Price)] == before


def test_what_the_file_says_differently_is_changed() -> None:
    bring_in(product(), product(article("TEA"), handle="tea"), product(article("POT"), handle="pot"))

    stored = bring_in(
        product(article(prices={"EUR": 1700})),
        product(article("TEA", tax_class=TaxClass.REDUCED), handle="tea"),
        product(article("POT"), handle="pot", description="New words."),
    )

    assert stored == Stored(changed=3)
    found = offers(skus=["MUG", "TEA", "POT"], currency="EUR")
    assert (found["MUG"].price.amount, found["TEA"].tax_class) == (1700, "reduced")
    assert Product.objects.get(handle="pot").description == "New words."


def test_what_the_file_does_not_list_stays() -> None:
    bring_in(product(article("MUG-R"), article("MUG-B")))

    bring_in(product(article("MUG-R")))

    assert set(offers(skus=["MUG-R", "MUG-B"], currency="EUR")) == {"MUG-R", "MUG-B"}


def test_an_article_follows_its_product_to_a_new_handle() -> None:
    bring_in(product())

    stored = bring_in(product(handle="mug-renamed"))

    assert stored == Stored(changed=1)
    assert Article.objects.get().product.handle == "mug-renamed"


def test_an_article_the_staff_have_hidden_stays_hidden() -> None:
    bring_in(product())
    Article.objects.update(published=False)

    bring_in(product(description="New words."))

    assert offers(skus=["MUG"], currency="EUR") == {}


def test_prices_of_other_currencies_stay_and_dropped_ones_go() -> None:
    bring_in(product(article(prices={"EUR": 1650, "JPY": 2700})), currencies=("EUR", "JPY"))
    bring_in(product(article(prices={"USD": 1800})), currencies=("USD",))

    stored = bring_in(product(article(prices={"EUR": 1650})), currencies=("EUR", "JPY"))

    assert stored == Stored(changed=1)
    assert dict(Price.objects.values_list("currency", "amount")) == {"EUR": 1650, "USD": 1800}


def test_live_stock_is_not_overwritten() -> None:
    bring_in(product())

    stored = bring_in(product(article(on_hand=50)))

    assert stored == Stored(unchanged=1)
    assert available(skus=["MUG"]) == {"MUG": 5}


def test_stock_is_set_when_asked_but_never_below_what_shoppers_hold() -> None:
    bring_in(product(article("MUG"), article("TEA"), article("POT")))
    with open_unit_of_work():
        reserve(reservation_id=new_id(), holder=new_id(), lines=[Wanted("MUG", 3)], expires_at=utc_now())
    listed = product(article("MUG", on_hand=2), article("TEA", on_hand=50), article("POT", on_hand=None))

    stored = services.store(listed=as_file(listed), with_stock=True)

    assert stored == Stored(unchanged=3, stocked=1, below_held=("MUG",))
    assert available(skus=["MUG", "TEA", "POT"]) == {"MUG": 2, "TEA": 50, "POT": 5}


@pytest.mark.parametrize("known", [False, True])
def test_a_batch_takes_the_same_statements_with_3_and_with_200_products(statements: Counting, known: bool) -> None:
    counts = []
    for many in (3, 200):
        goods = [
            product(article(f"SKU-{many}-{n}-A"), article(f"SKU-{many}-{n}-B"), handle=f"{many}-{n}")
            for n in range(many)
        ]
        if known:
            bring_in(*[replace(each, description="Old words.") for each in goods])
        with statements() as counted:
            bring_in(*goods)
        counts.append(len(counted))

    assert counts[0] == counts[1] <= 12


def test_progress_is_told_batch_by_batch() -> None:
    goods = [product(article(f"SKU-{n}"), handle=f"h-{n}") for n in range(260)]
    told: list[int] = []

    stored = services.store(listed=as_file(*goods), on_progress=told.append)

    assert told == [250, 10]
    assert stored == Stored(new=260, stocked=260)


def test_the_seed_can_be_sown_twice() -> None:
    first, second = services.seed(), services.seed()

    assert (first.new, first.stocked) == (62, 62)
    assert second == Stored(unchanged=62)
    assert Product.objects.count() == 50
    assert set(Price.objects.values_list("currency", flat=True)) == {"EUR", "GBP", "JPY", "USD"}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        (lambda: Price.objects.update(amount=0), "catalog_price_amount"),
        (lambda: Price.objects.update(amount=10**13), "catalog_price_amount"),
        (lambda: Article.objects.update(tax_class="luxury"), "catalog_article_tax_class"),
        (lambda: Article.objects.update(sku=""), "catalog_article_sku_not_empty"),
        (
            lambda: Price.objects.create(article=Article.objects.get(), currency="EUR", amount=1),
            "catalog_price_one_a_currency",
        ),
    ],
)
def test_the_database_is_the_last_judge(change: Callable[[], object], constraint: str) -> None:
    bring_in(product())

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        change()
