from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from shop.catalog.models import Article, Price
from shop.inventory.dto import Wanted
from shop.inventory.queries import available
from shop.inventory.services import reserve
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id
from shop.kernel.transactions import open_unit_of_work

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parent / "data"


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("import_products", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_a_file_is_imported_and_again_changes_nothing() -> None:
    first, second = run(DATA / "bom_crlf.csv"), run(DATA / "bom_crlf.csv")

    assert first == "2 products; articles: 3 new, 0 changed, 0 unchanged; stock set for 3.\n"
    assert second == "2 products; articles: 0 new, 0 changed, 3 unchanged; stock set for 0.\n"


def test_refused_rows_are_reported_and_the_rest_is_imported() -> None:
    report = run(DATA / "refused_rows.csv").splitlines()

    assert report[0] == "3 products; articles: 4 new, 0 changed, 0 unchanged; stock set for 4."
    assert report[1] == "19 rows refused:"
    assert report[2] == "  line 5  (no SKU)  The SKU is empty."
    assert report[-2] == "  line 23  BAD-MUG-SLATE  Price 'cheap' is not a number such as 19.99."
    assert len(report) == 21


def test_strict_ends_with_status_1_after_importing_the_rest() -> None:
    with pytest.raises(CommandError, match=r"19 rows of .*refused_rows\.csv were refused"):
        run(DATA / "refused_rows.csv", "--strict")

    assert Article.objects.count() == 4


def test_a_file_of_which_nothing_can_be_imported_fails(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("Handle,Title,Variant SKU,Variant Price\na,A,A,free\n")

    with pytest.raises(CommandError, match=r"1 rows of .*bad.csv were refused"):
        run(file)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (DATA / "latin1.csv", "latin1.csv: Line 2: byte 0xfc is not UTF-8"),
        (DATA / "missing.csv", "Cannot read .*missing.csv: No such file or directory"),
        (DATA, "Cannot read .*data: Is a directory"),
    ],
)
def test_an_unusable_file_fails_with_a_clear_line(file: Path, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(file)

    assert not Article.objects.exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--currency=EURO", "'EURO' is not an ISO 4217 currency code"),
        ("--market=Japan", "'Japan' is not of the form 'Japan=JPY'"),
        ("--market=Japan=YEN", "'YEN' is not an ISO 4217 currency code"),
    ],
)
def test_options_are_checked(option: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(DATA / "bom_crlf.csv", option)


def test_another_currency_is_another_price_list() -> None:
    run(DATA / "bom_crlf.csv")

    report = run(DATA / "bom_crlf.csv", "--currency=USD")

    assert "0 new, 3 changed" in report
    prices = Price.objects.filter(article__sku="BOM-KANNE")
    assert dict(prices.values_list("currency", "amount")) == {"EUR": 4800, "USD": 4800}


def test_markets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "markets.csv"
    file.write_text("Handle,Title,Variant SKU,Variant Price,Price / Far East\na,A,A,10,1300\n")

    run(file, "--market", "Far East=JPY")

    assert dict(Price.objects.values_list("currency", "amount")) == {"EUR": 1000, "JPY": 1300}


def test_with_stock_sets_what_it_can_and_says_what_it_could_not(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    header = "Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty\n"
    file.write_text(header + "a,A,A,10,5\nb,B,B,10,5\n")
    run(file)
    with open_unit_of_work():
        reserve(reservation_id=new_id(), holder=new_id(), lines=[Wanted("B", 3)], expires_at=utc_now())
    file.write_text(header + "a,A,A,10,7\nb,B,B,10,2\n")

    report = run(file, "--with-stock")

    assert report.splitlines() == [
        "2 products; articles: 0 new, 0 changed, 2 unchanged; stock set for 1.",
        "The stock of B stays as it is: shoppers hold more than the file says there are.",
    ]
    assert available(skus=["A", "B"]) == {"A": 7, "B": 2}
