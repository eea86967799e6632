from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

import pytest
from django.test import override_settings

from shop.catalog import queries
from shop.catalog.dto import Offer, ProductFilter, ProductView, TaxClass
from shop.catalog.models import Article, Product
from shop.inventory.dto import Wanted
from shop.inventory.services import reserve
from shop.inventory.states import ReservationState
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.money import Money
from shop.kernel.transactions import open_unit_of_work
from tests.shop.catalog.factories import article, bring_in, product
from tests.shop.inventory.factories import reservation_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("public_url")]
Counting = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def public_url() -> object:
    with override_settings(PUBLIC_URL="https://shop.example"):
        yield


def found(search: str = "", category: str = "", limit: int = 100) -> list[str]:
    wanted = ProductFilter(currency="EUR", search=search, category=category)
    return [view.sku for view in queries.find_products(wanted=wanted, limit=limit)]


def test_an_offer_is_what_can_be_bought_now() -> None:
    bring_in(
        product(article("MUG-R", name="Mug / Red", tax_class=TaxClass.REDUCED), article("MUG-B")),
        product(article("TEA", image_url="https://images.example/tea.png"), handle="tea"),
    )
    with open_unit_of_work():
        reserve(reservation_id=new_id(), holder=new_id(), lines=[Wanted("MUG-R", 2)], expires_at=utc_now())

    offers = queries.offers(skus=["MUG-R", "TEA", "NO-SUCH"], currency="EUR")

    assert set(offers) == {"MUG-R", "TEA"}
    assert offers["MUG-R"] == Offer(
        sku="MUG-R",
        name="Mug / Red",
        image_url="https://shop.example/static/mug.svg",
        category="Tableware",
        tax_class="reduced",
        price=Money(1650, "EUR"),
        available=3,
    )
    assert offers["TEA"].image_url == "https://images.example/tea.png"


def test_what_shoppers_have_reserved_is_there_for_themselves_only() -> None:
    bring_in(product(article("MUG-R"), article("MUG-B")))
    shopper, stranger = new_id(), new_id()
    with open_unit_of_work():
        reserve(
            reservation_id=new_id(),
            holder=shopper,
            lines=[Wanted("MUG-R", 3), Wanted("MUG-B", 5)],
            expires_at=utc_now(),
        )
        reserve(reservation_id=new_id(), holder=stranger, lines=[Wanted("MUG-R", 1)], expires_at=utc_now())

    def there(holder: UUID | None) -> dict[str, int]:
        found = queries.offers(skus=["MUG-R", "MUG-B"], currency="EUR", holder=holder)
        return {sku: offer.available for sku, offer in found.items()}

    assert there(shopper) == {"MUG-R": 4, "MUG-B": 5}
    assert there(stranger) == {"MUG-R": 2, "MUG-B": 0}
    assert there(new_id()) == there(None) == {"MUG-R": 1, "MUG-B": 0}


@pytest.mark.parametrize("state", [state for state in ReservationState if state is not ReservationState.RESERVED])
def test_only_what_is_still_reserved_counts_for_the_shopper(state: ReservationState) -> None:
    bring_in(product(article("MUG", on_hand=5)))
    shopper = new_id()
    reservation_in(state, holder=shopper, MUG=2)

    seen_by_all = queries.offers(skus=["MUG"], currency="EUR")["MUG"].available
    assert queries.offers(skus=["MUG"], currency="EUR", holder=shopper)["MUG"].available == seen_by_all


def test_what_is_hidden_or_has_no_price_is_not_on_offer() -> None:
    bring_in(product(article("HIDDEN"), article("SHOWN")), product(article("DRAFT"), handle="d", published=False))
    Article.objects.filter(sku="HIDDEN").update(published=False)
    skus = ["HIDDEN", "SHOWN", "DRAFT"]

    assert set(queries.offers(skus=skus, currency="EUR")) == {"SHOWN"}
    assert queries.offers(skus=skus, currency="JPY") == {}
    assert found() == ["SHOWN"]
    assert queries.product(sku="HIDDEN", currency="EUR") is None
    assert queries.product(sku="SHOWN", currency="JPY") is None


@pytest.mark.parametrize("many", [1, 3, 30])
def test_offers_and_pages_take_one_statement(statements: Counting, many: int) -> None:
    skus = [f"SKU-{n}" for n in range(many)]
    bring_in(product(*[article(sku) for sku in skus]))

    with statements() as counted:
        offers = queries.offers(skus=skus, currency="EUR")
        page = found("mug")
        one = queries.product(sku="SKU-0", currency="EUR")

    assert (len(offers), len(page), one and one.sku, len(counted)) == (many, many, "SKU-0", 3)


def test_offers_agree_with_the_plain_orm_way() -> None:
    bring_in(product(article("MUG-R"), article("MUG-B")), product(article("TEA"), handle="t", published=False))

    by_orm = {
        row.sku: row.prices.get(currency="EUR").amount
        for row in Article.objects.filter(published=True, product__published=True)
    }

    offers = queries.offers(skus=["MUG-R", "MUG-B", "TEA"], currency="EUR")
    assert {sku: offer.price.amount for sku, offer in offers.items()} == by_orm


def test_one_product_is_shown_with_its_text() -> None:
    bring_in(product())

    assert queries.product(sku="MUG", currency="EUR") == ProductView(
        id=Article.objects.get().id,
        sku="MUG",
        name="Mug",
        description="Holds tea.",
        image_url="https://shop.example/static/mug.svg",
        category="Tableware",
        price=Money(1650, "EUR"),
        available=5,
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", ["MUG-1", "TEA_50", "TEA-50", "HALF"]),
        ("mug", ["MUG-1"]),
        ("MUG-1", ["MUG-1"]),
        ("sencha", ["TEA_50", "TEA-50"]),
        ("grüner SENCHA", ["TEA_50", "TEA-50"]),
        ("tea_50 Sencha", ["TEA_50"]),
        ("_", ["TEA_50"]),
        ("%", ["HALF"]),
        ("50%", ["HALF"]),
        ("\\", ["HALF"]),
        ("mug sencha", []),
        ("  mug  ", ["MUG-1"]),
    ],
)
def test_search_takes_every_word_literally(search: str, expected: list[str]) -> None:
    bring_in(
        product(article("MUG-1")),
        product(
            article("TEA_50", name="Sencha"), article("TEA-50", name="Sencha"), handle="t", description="Grüner Tee."
        ),
        product(article("HALF", name="50% off \\ everything"), handle="h", description=""),
    )

    assert found(search) == expected


def test_categories_are_exact() -> None:
    bring_in(product(), product(article("TEA", name="Tea"), handle="tea", category="Tea"))

    assert (found(category="Tea"), found(category="tea"), found("mug", "Tea")) == (["TEA"], [], [])


def test_pages_go_both_ways() -> None:
    skus = [f"SKU-{n}" for n in range(5)]
    bring_in(*[product(article(sku), handle=sku) for sku in skus])
    wanted = ProductFilter(currency="EUR")
    ids = {row.sku: row.id for row in Article.objects.all()}

    after = queries.find_products(wanted=wanted, limit=2, after=ids["SKU-1"])
    before = queries.find_products(wanted=wanted, limit=2, before=ids["SKU-3"])

    assert [view.sku for view in after] == ["SKU-2", "SKU-3"]
    assert [view.sku for view in before] == ["SKU-2", "SKU-1"]


def test_articles_without_stock_are_shown_as_sold_out() -> None:
    row = Article.objects.create(product=Product.objects.create(handle="x", title="X"), sku="X", name="X")
    row.prices.create(currency="EUR", amount=100)

    assert queries.offers(skus=["X"], currency="EUR")["X"].available == 0
