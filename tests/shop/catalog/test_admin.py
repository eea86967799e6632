from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.test import Client

from shop.catalog.models import Article, Price, Product
from tests.shop.catalog.factories import article, bring_in, product

pytestmark = pytest.mark.django_db
Counting = Callable[[], AbstractContextManager[list[str]]]


def price_lines(*lines: tuple[Price | None, str, str]) -> dict[str, str]:
    """Return an article's form with these price lines."""
    row = Article.objects.get()
    known = sum(price is not None for price, _, _ in lines)
    form = {
        "name": row.name,
        "tax_class": row.tax_class,
        "position": "1",
        "published": "on",
        "prices-TOTAL_FORMS": str(len(lines)),
        "prices-INITIAL_FORMS": str(known),
    }
    for place, (price, currency, amount) in enumerate(lines):
        form |= {
            f"prices-{place}-id": str(price.id) if price else "",
            f"prices-{place}-article": str(row.id),
            f"prices-{place}-currency": currency,
            f"prices-{place}-price": amount,
        }
    return form


def change(client: Client, form: dict[str, str]) -> int:
    return client.post(f"/admin/catalog/article/{Article.objects.get().id}/change/", form).status_code


@pytest.mark.parametrize("words", ["TEA-50", "sencha", "SENCHA"])
@pytest.mark.parametrize("model", ["product", "article"])
def test_goods_are_found_by_sku_and_name(support: Client, model: str, words: str) -> None:
    bring_in(
        product(article("MUG-1", name="Mug")),
        product(article("TEA-50", name="Sencha / 50 g"), handle="sencha", title="Sencha"),
    )

    page = support.get(f"/admin/catalog/{model}/?q={words}").content.decode()

    assert "Sencha" in page
    assert "MUG-1" not in page
    assert ">Mug<" not in page


def test_a_product_with_two_matching_variants_is_listed_once(support: Client) -> None:
    bring_in(product(article("MUG-R"), article("MUG-B")))
    product_id = Product.objects.get().id

    page = support.get("/admin/catalog/product/?q=mug").content.decode()

    assert page.count(f'href="/admin/catalog/product/{product_id}/change/') == 1


def test_prices_are_edited_in_major_units(support: Client) -> None:
    bring_in(product(article(prices={"EUR": 1650})))
    page = support.get(f"/admin/catalog/article/{Article.objects.get().id}/change/").content.decode()

    status = change(support, price_lines((Price.objects.get(), "EUR", "17.5"), (None, "jpy", "2700")))

    assert 'value="16.50"' in page
    assert status == 302
    assert dict(Price.objects.values_list("currency", "amount")) == {"EUR": 1750, "JPY": 2700}


@pytest.mark.parametrize(
    "line",
    [
        ("EUR", "17.555"),
        ("JPY", "17.5"),
        ("EUR", "0"),
        ("EUR", "-1"),
        ("EUR", "99999999999"),
        ("EUR", "NaN"),
        ("EURO", "1"),
        ("XXX", "1"),
        ("EUR", ""),
    ],
)
def test_what_is_no_price_is_asked_for_again(support: Client, line: tuple[str, str]) -> None:
    bring_in(product())

    status = change(support, price_lines((Price.objects.get(), *line)))

    assert status == 200
    assert Price.objects.get().amount == 1650


def test_two_prices_in_one_currency_are_refused(support: Client) -> None:
    bring_in(product())

    status = change(support, price_lines((Price.objects.get(), "EUR", "16.50"), (None, "EUR", "18")))

    assert status == 200
    assert Price.objects.get().amount == 1650


def test_goods_come_by_import_and_are_hidden_rather_than_deleted(support: Client) -> None:
    bring_in(product())

    for model, key in (("product", Product.objects.get().id), ("article", Article.objects.get().id)):
        assert support.get(f"/admin/catalog/{model}/add/").status_code == 403
        assert support.post(f"/admin/catalog/{model}/{key}/delete/", {"post": "yes"}).status_code == 403


def test_a_product_shows_its_variants(support: Client) -> None:
    bring_in(product(article("MUG-R"), article("MUG-B")))

    page = support.get(f"/admin/catalog/product/{Product.objects.get().id}/change/").content.decode()

    assert "MUG-R" in page
    assert "MUG-B" in page


@pytest.mark.parametrize("model", ["product", "article"])
def test_lists_take_the_same_statements_with_1_and_with_3_rows(
    support: Client, statements: Counting, model: str
) -> None:
    bring_in(product())
    with statements() as with_one:
        support.get(f"/admin/catalog/{model}/")
    bring_in(*[product(article(f"SKU-{n}", prices={"EUR": 100, "JPY": 200}), handle=f"{n}") for n in range(2)])

    with statements() as with_three:
        support.get(f"/admin/catalog/{model}/")

    assert len(with_one) == len(with_three)
