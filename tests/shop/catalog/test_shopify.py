from io import BytesIO
from pathlib import Path

import pytest

from shop.catalog import shopify
from shop.catalog.dto import ListedArticle, ListedProduct, ProductFile, RefusedRow, TaxClass
from shop.catalog.errors import UnusableFile

DATA = Path(__file__).parent / "data"
HEADER = "Handle,Title,Type,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty,Image Src,Status\n"


def read(content: str | bytes, **markets: str) -> ProductFile:
    data = content.encode() if isinstance(content, str) else content
    return shopify.read(file=BytesIO(data), currency="EUR", markets=markets)


def only(listed: ProductFile) -> tuple[ListedProduct, ListedArticle]:
    assert listed.refused == ()
    [product] = listed.products
    [article] = product.articles
    return product, article


def test_every_refused_row_is_named_with_its_line_sku_and_reason() -> None:
    listed = read((DATA / "refused_rows.csv").read_bytes())

    assert listed.refused == (
        RefusedRow(5, "", "The SKU is empty."),
        RefusedRow(6, "BAD-NEGATIVE", "Price '-4.50' is not a number such as 19.99."),
        RefusedRow(7, "BAD-WORD", "Price 'abc' is not a number such as 19.99."),
        RefusedRow(8, "BAD-DECIMALS", "Price '4.505' has more decimals than EUR knows."),
        RefusedRow(9, "BAD-COMMA", "Price '4,50' is not a number such as 19.99."),
        RefusedRow(10, "BAD-NAN", "Price 'NaN' is not a number such as 19.99."),
        RefusedRow(11, "BAD-NOPRICE", "The price is empty."),
        RefusedRow(12, "BAD-HUGE", "Price '100000000000000000000.00' is not a number such as 19.99."),
        RefusedRow(13, "BAD-STOCKWORD", "Inventory 'plenty' is not a whole number from 0 to 1000000000."),
        RefusedRow(14, "BAD-STOCKHALF", "Inventory '2.5' is not a whole number from 0 to 1000000000."),
        RefusedRow(15, "BAD-STOCKNEG", "Inventory '-3' is not a whole number from 0 to 1000000000."),
        RefusedRow(16, "GOOD-TEAPOT", "The SKU is already used on line 2."),
        RefusedRow(17, "BAD-NOTITLE", "The first row of a product has no title."),
        RefusedRow(18, "BAD-TAX", "Tax code 'luxury' is none of standard, reduced, zero."),
        RefusedRow(19, "BAD-STATUS", "Status 'live' is none of active, draft, archived, unlisted."),
        RefusedRow(20, "", "The first row of a product has no title."),
        RefusedRow(21, "BAD-NOHANDLE", "The handle is empty."),
        RefusedRow(23, "BAD-MUG-SLATE", "Price 'cheap' is not a number such as 19.99."),
        RefusedRow(25, "", "The row has 19 cells, the header 18: a comma without quotes?"),
    )
    assert [(product.handle, [article.sku for article in product.articles]) for product in listed.products] == [
        ("good-teapot", ["GOOD-TEAPOT"]),
        ("good-mug", ["GOOD-MUG-OAT", "GOOD-MUG-MOSS"]),
        ("good-last", ["GOOD-LAST"]),
    ]


def test_a_spreadsheets_file_with_byte_order_mark_and_crlf_is_read() -> None:
    listed = read((DATA / "bom_crlf.csv").read_bytes())

    assert listed.refused == ()
    assert listed.products == (
        ListedProduct(
            handle="kuestenkanne",
            title="Küstenkanne",
            description="Zeile eins.\nZeile zwei, mit Komma.",
            category="Tableware",
            image_url="/static/catalog/products/stoneware-teapot.svg",
            published=True,
            articles=(
                ListedArticle(
                    sku="BOM-KANNE",
                    name="Küstenkanne",
                    tax_class=TaxClass.STANDARD,
                    image_url="",
                    prices={"EUR": 4800},
                    on_hand=12,
                ),
            ),
        ),
        ListedProduct(
            handle="sencha",
            title="Sencha",
            description="",
            category="Tea",
            image_url="",
            published=True,
            articles=(
                ListedArticle(
                    sku="BOM-SENCHA-50",
                    name="Sencha / 50 g",
                    tax_class=TaxClass.REDUCED,
                    image_url="",
                    prices={"EUR": 790},
                    on_hand=5,
                ),
                ListedArticle(
                    sku="BOM-SENCHA-100",
                    name="Sencha / 100 g",
                    tax_class=TaxClass.REDUCED,
                    image_url="",
                    prices={"EUR": 1390},
                    on_hand=7,
                ),
            ),
        ),
    )


def test_latin_1_is_refused_as_a_whole() -> None:
    with pytest.raises(UnusableFile, match=r"Line 2: byte 0xfc is not UTF-8 \(Latin-1"):
        read((DATA / "latin1.csv").read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Line 1: there is no column 'handle' or 'url handle'"),
        ("Handle;Title;Variant SKU;Variant Price\na;A;A;1\n", "there is no column 'handle' or 'url handle'"),
        ("Handle,Title,Variant Price\na,A,1\n", "there is no column 'variant sku' or 'sku'"),
        (HEADER + 'a,A,,,A,1,1,,\nb,"never ends,,,B,1,1,,\nc,C,,,C,1,1,,\n', "Line 3: unexpected end of data"),
        (HEADER + 'a,"A"B,,,A,1,1,,\n', "Line 2: ',' expected after"),
        ("\ufeffHandle".encode("utf-16"), "Line 1: byte 0xff is not UTF-8"),
    ],
)
def test_a_file_that_is_no_product_export_is_refused_as_a_whole(content: str | bytes, message: str) -> None:
    with pytest.raises(UnusableFile, match=message):
        read(content)


def test_an_export_without_products_is_empty() -> None:
    assert read(HEADER) == ProductFile(products=(), refused=(), currencies=frozenset({"EUR"}))


def test_the_column_names_of_newer_exports_are_read() -> None:
    product, article = only(
        read(
            "Title,URL handle,Description,Product category,Published on online store,Status,SKU,Option1 value,"
            "Option2 value,Price,Charge tax,Tax code,Inventory quantity,Product image URL,Variant image URL\n"
            "Mug,mug,<p>Holds tea.</p>,Home > Kitchen > Mugs,TRUE,Active,MUG-R,Red,Large,16.5,TRUE,,3,"
            "https://images.example/mug.png,https://images.example/red.png\n"
        )
    )

    assert (product.handle, product.title, product.description) == ("mug", "Mug", "Holds tea.")
    assert (product.category, product.published) == ("Mugs", True)
    assert product.image_url == "https://images.example/mug.png"
    assert article == ListedArticle(
        sku="MUG-R",
        name="Mug / Red / Large",
        tax_class=TaxClass.STANDARD,
        image_url="https://images.example/red.png",
        prices={"EUR": 1650},
        on_hand=3,
    )


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    listed = read(
        HEADER
        + '"a","A\r\nin two lines",,,A,1,1,,\r\n'
        + "\r\n"
        + "b,B,,,B,bad,1,,\r\n"
        + "c,C \u2028 and \x0b on,,,C,1,1,,\r\n"
        + "d,D,,,D,bad,1,,\r\n"
    )

    assert [(row.line, row.sku) for row in listed.refused] == [(5, "B"), (7, "D")]


def test_markets_price_in_their_currency() -> None:
    header = "Handle,Title,Variant SKU,Variant Price,Included / Japan,Price / Japan,Price / United States\n"
    listed = read(
        header + "a,A,A,10.00,true,1300,11\nb,B,B,10.00,,,\nc,C,C,10.00,false,1300,11.50\nd,D,D,10.00,,13.5,\n",
        **{"Japan": "JPY", "United States": "USD"},
    )

    assert listed.currencies == {"EUR", "JPY", "USD"}
    assert [dict(product.articles[0].prices) for product in listed.products] == [
        {"EUR": 1000, "JPY": 1300, "USD": 1100},
        {"EUR": 1000},
        {"EUR": 1000, "USD": 1150},
    ]
    assert listed.refused == (RefusedRow(5, "D", "Price '13.5' has more decimals than JPY knows."),)


def test_a_market_without_a_column_is_a_mistake() -> None:
    with pytest.raises(UnusableFile, match="there is no column 'price / japan'"):
        read(HEADER, Japan="JPY")


@pytest.mark.parametrize(
    ("status", "published", "shown"),
    [
        ("", "", True),
        ("ACTIVE", "TRUE", True),
        ("active", "false", False),
        ("draft", "true", False),
        ("archived", "", False),
        ("unlisted", "true", False),
    ],
)
def test_only_active_and_published_products_are_shown(status: str, published: str, shown: bool) -> None:
    header = "Handle,Title,Variant SKU,Variant Price,Published,Status\n"

    product, _ = only(read(f"{header}a,A,A,1,{published},{status}\n"))

    assert product.published is shown


@pytest.mark.parametrize(
    ("taxable", "code", "expected"),
    [
        ("", "", TaxClass.STANDARD),
        ("TRUE", "", TaxClass.STANDARD),
        ("FALSE", "", TaxClass.ZERO),
        ("true", "Reduced", TaxClass.REDUCED),
        ("true", "zero", TaxClass.ZERO),
    ],
)
def test_tax_classes(taxable: str, code: str, expected: TaxClass) -> None:
    header = "Handle,Title,Variant SKU,Variant Price,Variant Taxable,Variant Tax Code\n"

    _, article = only(read(f"{header}a,A,A,1,{taxable},{code}\n"))

    assert article.tax_class is expected


def test_stock_that_is_not_said_is_not_known() -> None:
    _, article = only(read(HEADER + "a,A,,,A,1,,,\n"))

    assert article.on_hand is None


def test_the_first_picture_is_the_products() -> None:
    listed = read(HEADER + "a,A,,,A,1,1,,\na,,,,,,,/two.svg,\na,,,,,,,/three.svg,\n")

    assert only(listed)[0].image_url == "/two.svg"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//elsewhere.example/x.png", "x.png", "https://", "/a b.png"])
def test_pictures_have_an_address(url: str) -> None:
    [refused] = read(HEADER + f"a,A,,,A,1,1,{url},\n").refused

    assert refused.reason == f"Image {url!r} is neither an http(s) address nor a path on this server."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,A,,,A,0,1,,", "Price 0 EUR is zero or beyond all measure."),
        ("a,A,,,A,10000000000.01,1,,", "Price 10000000000.01 EUR is zero or beyond all measure."),
        ("a,A,,,A,1_0,1,,", "Price '1_0' is not a number such as 19.99."),
        ("a,A,,,A,1,1000000001,,", "Inventory '1000000001' is not a whole number from 0 to 1000000000."),
        ("a,A,,,A,1,\u0663,,", "Inventory '\u0663' is not a whole number from 0 to 1000000000."),
        ("a,A,,,A\x07B,1,1,,", "The SKU is longer than 255 signs or contains control characters."),
        (f"a,A,,,{'A' * 256},1,1,,", "The SKU is longer than 255 signs or contains control characters."),
        ("a,A\x00,,,A,1,1,,", "A cell contains a NUL character."),
    ],
)
def test_rows_that_would_do_harm(row: str, reason: str) -> None:
    listed = read(HEADER + row + "\n")

    assert listed.products == ()
    assert [refused.reason for refused in listed.refused] == [reason]


def test_gift_cards_are_not_sold() -> None:
    listed = read("Handle,Title,Variant SKU,Variant Price,Gift Card\na,A,A,1,true\na,,A2,2,\nb,B,B,1,maybe\n")

    assert listed.products == ()
    assert [(row.line, row.reason) for row in listed.refused] == [
        (2, "Gift cards are not sold here."),
        (3, "Its product was refused on line 2."),
        (4, "Gift card is neither TRUE nor FALSE."),
    ]


def test_a_title_alone_is_no_article() -> None:
    listed = read("Handle,Title,Variant SKU,Variant Price\na,A,,\n")

    assert listed.products == ()
    assert listed.refused == (RefusedRow(2, "", "The SKU is empty."),)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One.</p>\n<p>Two &amp; <b>three</b>.</p>", "One.\nTwo & three."),
        ("<ul><li>First</li><li>Second</li></ul>", "First\nSecond"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>Line\nbroken   by the editor</p>", "Line broken by the editor"),
        ("no tags,\nbut lines", "no tags,\nbut lines"),
        ("<script>steal()</script><p>Tea</p><style>p {}</style>", "Tea"),
        ("<svg><title>x</title></svg>Tea<iframe src=x>no</iframe>", "Tea"),
        ("</script>Tea", "Tea"),
        ("<img src=x onerror=steal()>Tea <3", "Tea <3"),
        ("&lt;script&gt; is a word", "<script> is a word"),
        ("<p>Tea<p>Pot", "Tea\nPot"),
        ("", ""),
    ],
)
def test_descriptions_become_plain_text(html: str, text: str) -> None:
    assert shopify.plain_text(html) == text
