"""Read a product file as Shopify exports it.

Shopify writes one row a variant. The first row of a handle describes the product too; rows without a variant carry
further images. The columns were renamed in 2025 (`Handle` became `URL handle`, `Variant SKU` became `SKU`, and so
on); both sets are read. Source: https://help.shopify.com/en/manual/products/import-export/using-csv
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import StringIO
from typing import BinaryIO

from shop.catalog.dto import ListedArticle, ListedProduct, ProductFile, RefusedRow, TaxClass
from shop.catalog.errors import UnusableFile
from shop.catalog.models import HIGHEST_PRICE
from shop.kernel.money import Money

# What the reader calls a cell -> the column's names, in lower case, old and new.
_COLUMNS = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "body": ("body (html)", "description"),
    "type": ("type",),
    "taxonomy": ("product category",),
    "published": ("published", "published on online store"),
    "status": ("status",),
    "option1": ("option1 value",),
    "option2": ("option2 value",),
    "option3": ("option3 value",),
    "sku": ("variant sku", "sku"),
    "on_hand": ("variant inventory qty", "inventory quantity"),
    "price": ("variant price", "price"),
    "image": ("image src", "product image url"),
    "variant_image": ("variant image", "variant image url"),
    "taxable": ("variant taxable", "charge tax"),
    "tax_code": ("variant tax code", "tax code"),
    "gift_card": ("gift card",),
}
_REQUIRED = ("handle", "title", "sku")
_SHOWN_BY_STATUS = {"": True, "active": True, "draft": False, "archived": False, "unlisted": False}
_ONLY_VARIANT = "Default Title"

_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,10})?")
_LONGEST_SKU = 255
_LARGEST_STOCK = 1_000_000_000
# Descriptions with pictures inside are long; the csv module's own limit is 128 KiB.
_LARGEST_CELL = 16 * 1024 * 1024


class _RowRefused(Exception):
    """Why a row is left out."""


@dataclass(slots=True)
class _Draft:
    """A product whose further rows may still come."""

    title: str
    description: str
    category: str
    published: bool
    image_url: str = ""
    articles: list[ListedArticle] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "")

    def says(self, name: str) -> bool | None:
        """Return what a TRUE/FALSE cell says; None when it is empty."""
        match self[name].lower():
            case "":
                return None
            case "true" | "false" as word:
                return word == "true"
            case _:
                raise _RowRefused(f"{name.replace('_', ' ').capitalize()} is neither TRUE nor FALSE.")

    @property
    def is_variant(self) -> bool:
        return bool(self["sku"] or self["price"] or self["option1"])


class _Reader:
    """Collects products row by row."""

    def __init__(self, *, prices: Mapping[str, str]) -> None:
        """Take `prices` as currency by the name of the cell that holds it."""
        self.prices = prices
        self.drafts: dict[str, _Draft] = {}
        self.refused: list[RefusedRow] = []
        self._line_of_sku: dict[str, int] = {}
        self._refused_products: dict[str, int] = {}

    def take(self, row: _Row) -> None:
        """Add the row to its product, or note why not."""
        try:
            self._add(row)
        except _RowRefused as refusal:
            self.refused.append(RefusedRow(line=row.line, sku=row["sku"], reason=str(refusal)))

    def _add(self, row: _Row) -> None:
        handle = row["handle"]
        if not handle:
            raise _RowRefused("The handle is empty.")
        if any("\x00" in cell for cell in row.cells.values()):
            raise _RowRefused("A cell contains a NUL character.")
        known = self.drafts.get(handle)
        draft = known or self._begin(handle, row)
        draft.image_url = draft.image_url or _image(row["image"])
        # The first row always is a variant, even an empty one; later ones may bring an image alone.
        if known is None or row.is_variant:
            article = self._article(draft, row)
            self._line_of_sku[article.sku] = row.line
            draft.articles.append(article)

    def _begin(self, handle: str, row: _Row) -> _Draft:
        if handle in self._refused_products:
            raise _RowRefused(f"Its product was refused on line {self._refused_products[handle]}.")
        self._refused_products[handle] = row.line
        if not row["title"]:
            raise _RowRefused("The first row of a product has no title.")
        if row["status"].lower() not in _SHOWN_BY_STATUS:
            raise _RowRefused(f"Status {row['status']!r} is none of active, draft, archived, unlisted.")
        if row.says("gift_card"):
            raise _RowRefused("Gift cards are not sold here.")
        draft = _Draft(
            title=_one_line(row["title"]),
            description=plain_text(row["body"]),
            category=_one_line(row["type"] or row["taxonomy"].rpartition(">")[2]),
            published=_SHOWN_BY_STATUS[row["status"].lower()] and row.says("published") is not False,
        )
        del self._refused_products[handle]
        return self.drafts.setdefault(handle, draft)

    def _article(self, draft: _Draft, row: _Row) -> ListedArticle:
        options = [_one_line(row[name]) for name in ("option1", "option2", "option3")]
        chosen = [option for option in options if option and option != _ONLY_VARIANT]
        return ListedArticle(
            sku=self._sku(row["sku"]),
            name=" / ".join([draft.title, *chosen]),
            tax_class=_tax_class(row),
            image_url=_image(row["variant_image"]),
            prices=self._prices(row),
            on_hand=_on_hand(row["on_hand"]),
        )

    def _sku(self, sku: str) -> str:
        if not sku:
            raise _RowRefused("The SKU is empty.")
        if len(sku) > _LONGEST_SKU or not sku.isprintable():
            raise _RowRefused(f"The SKU is longer than {_LONGEST_SKU} signs or contains control characters.")
        if sku in self._line_of_sku:
            raise _RowRefused(f"The SKU is already used on line {self._line_of_sku[sku]}.")
        return sku

    def _prices(self, row: _Row) -> dict[str, int]:
        prices = {}
        for cell, currency in self.prices.items():
            # A market may leave an article out, or out of its own price list.
            if cell == "price" or (row[cell] and row.says(cell.replace("price", "included", 1)) is not False):
                prices[currency] = _price(row[cell], currency)
        return prices


def read(*, file: BinaryIO, currency: str, markets: Mapping[str, str]) -> ProductFile:
    """Read the whole file; UnusableFile when it cannot be, and then there is nothing to import.

    Prices are in `currency`; `markets` names the currency of further price columns by the name Shopify's
    merchant gave the market: `{"Japan": "JPY"}` reads `Price / Japan`.
    """
    columns = {**_COLUMNS}
    prices = {"price": currency}
    for market, its_currency in markets.items():
        columns[f"price in {market}"] = (f"price / {market.lower()}",)
        columns[f"included in {market}"] = (f"included / {market.lower()}",)
        prices[f"price in {market}"] = its_currency
    reader = _Reader(prices=prices)
    for row in _rows(_text(file), columns=columns, required=(*_REQUIRED, *prices), refused=reader.refused):
        reader.take(row)
    products = tuple(
        ListedProduct(
            handle=handle,
            title=draft.title,
            description=draft.description,
            category=draft.category,
            image_url=draft.image_url,
            published=draft.published,
            articles=tuple(draft.articles),
        )
        for handle, draft in reader.drafts.items()
        if draft.articles
    )
    return ProductFile(products=products, refused=tuple(reader.refused), currencies=frozenset(prices.values()))


def _text(file: BinaryIO) -> str:
    data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableFile(
            f"byte 0x{data[error.start]:02x} is not UTF-8 (Latin-1 or Windows-1252, perhaps). "
            "Export the file again as CSV UTF-8; nothing was imported.",
            line=data.count(b"\n", 0, error.start) + 1,
        ) from None


def _rows(
    text: str, *, columns: Mapping[str, tuple[str, ...]], required: tuple[str, ...], refused: list[RefusedRow]
) -> Iterator[_Row]:
    """Yield the rows under the header with the physical line each begins on; a wrong count of cells is refused."""
    csv.field_size_limit(_LARGEST_CELL)
    table = csv.reader(StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(table, [])
        places = _places(header, columns=columns, required=required)
        line = table.line_num + 1
        for cells in table:
            if len(cells) > len(header):
                reason = f"The row has {len(cells)} cells, the header {len(header)}: a comma without quotes?"
                refused.append(RefusedRow(line=line, sku="", reason=reason))
            elif any(cell.strip() for cell in cells):
                here = {name: cells[place].strip() for name, place in places.items() if place < len(cells)}
                yield _Row(line=line, cells=here)
            line = table.line_num + 1
    except csv.Error as error:
        raise UnusableFile(f"{error}; nothing was imported.", line=line) from None


def _places(header: list[str], *, columns: Mapping[str, tuple[str, ...]], required: tuple[str, ...]) -> dict[str, int]:
    found = {name.strip().lower(): place for place, name in reversed(list(enumerate(header)))}
    places = {name: found[column] for name, names in columns.items() for column in names if column in found}
    for name in required:
        if name not in places:
            wanted = " or ".join(repr(column) for column in columns[name])
            raise UnusableFile(
                f"there is no column {wanted}. A product export of Shopify, separated by commas, is expected.", line=1
            )
    return places


def _price(text: str, currency: str) -> int:
    if not text:
        raise _RowRefused("The price is empty.")
    if not _DECIMAL.fullmatch(text):
        raise _RowRefused(f"Price {text!r} is not a number such as 19.99.")
    try:
        amount = Money.from_major(text, currency).amount
    except ValueError as error:
        raise _RowRefused(f"Price {error}") from None
    if not 0 < amount <= HIGHEST_PRICE:
        raise _RowRefused(f"Price {text} {currency} is zero or beyond all measure.")
    return amount


def _on_hand(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_STOCK:
        raise _RowRefused(f"Inventory {text!r} is not a whole number from 0 to {_LARGEST_STOCK}.")
    return int(text)


def _tax_class(row: _Row) -> TaxClass:
    code = row["tax_code"].lower()
    if not code:
        return TaxClass.ZERO if row.says("taxable") is False else TaxClass.STANDARD
    try:
        return TaxClass(code)
    except ValueError:
        raise _RowRefused(f"Tax code {row['tax_code']!r} is none of {', '.join(TaxClass)}.") from None


def _image(url: str) -> str:
    if url and not re.fullmatch(r"(https?:/)?/[^/\s]\S*", url):
        raise _RowRefused(f"Image {url[:80]!r} is neither an http(s) address nor a path on this server.")
    return url


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _PlainText(HTMLParser):
    """Keeps the words of HTML and where its paragraphs end."""

    _BLOCKS = frozenset(
        """address article blockquote br dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li ol p pre section
        table td th tr ul""".split()
    )
    _SILENT = frozenset({"script", "style", "template", "iframe", "svg"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  the base class's signature
        self._silent += tag in self._SILENT
        self._end_paragraph(tag)

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self._SILENT))
        self._end_paragraph(tag)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace("\n", " "))

    def _end_paragraph(self, tag: str) -> None:
        if tag in self._BLOCKS:
            self.parts.append("\n")


def plain_text(html: str) -> str:
    """Return the words of HTML, one paragraph a line; scripts and styles say nothing to people."""
    parser = _PlainText()
    parser.feed(html if "<" in html else html.replace("\n", "<br>"))
    parser.close()
    lines = (_one_line(line) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
