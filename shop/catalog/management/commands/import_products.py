"""`manage.py import_products products_export.csv`: bring a Shopify product export into the shop."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from shop.catalog import services, shopify
from shop.catalog.dto import ProductFile, Stored
from shop.catalog.errors import UnusableFile
from shop.kernel.money import exponent


def currency(code: str) -> str:
    """Return the code if it is a currency."""
    try:
        exponent(code)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return code


def market(text: str) -> tuple[str, str]:
    """Parse `NAME=CURRENCY`."""
    name, separator, code = text.rpartition("=")
    if not separator or not name:
        raise ArgumentTypeError(f"{text!r} is not of the form 'Japan=JPY'.")
    return name, currency(code)


class Command(BaseCommand):
    """Reads the whole file, then stores what can be stored and reports the rest."""

    help = (
        "Import products from a CSV file as Shopify exports it. Rows that cannot be imported are listed with their "
        "line numbers; importing a file again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command line."""
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument(
            "--currency",
            type=currency,
            default=settings.DEFAULT_CURRENCY,
            help="the currency of the column 'Variant Price' (default: %(default)s)",
        )
        parser.add_argument(
            "--market",
            type=market,
            action="append",
            default=[],
            metavar="NAME=CURRENCY",
            help="read the column 'Price / NAME' too, as prices in CURRENCY; may be repeated",
        )
        parser.add_argument(
            "--with-stock",
            action="store_true",
            help="set the stock of articles that are here already, too; never below what shoppers hold",
        )
        parser.add_argument("--strict", action="store_true", help="end with status 1 if any row was refused")

    def handle(self, *, file: Path, **options: Any) -> None:
        """Import; CommandError (status 1) when nothing could be, or with `--strict` when anything could not."""
        listed = self._read(file, options["currency"], dict(options["market"]))
        with tqdm(total=len(listed.products), unit="product", file=sys.stderr, disable=None, leave=False) as bar:
            stored = services.store(listed=listed, with_stock=options["with_stock"], on_progress=bar.update)
        self._report(listed, stored)
        if listed.refused and (options["strict"] or not listed.products):
            raise CommandError(f"{len(listed.refused)} rows of {file} were refused.")

    def _read(self, file: Path, its_currency: str, markets: dict[str, str]) -> ProductFile:
        try:
            with file.open("rb") as opened:
                return shopify.read(file=opened, currency=its_currency, markets=markets)
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}.") from None
        except UnusableFile as error:
            raise CommandError(f"{file}: {error.detail}") from None

    def _report(self, listed: ProductFile, stored: Stored) -> None:
        self.stdout.write(
            f"{len(listed.products)} products; articles: {stored.new} new, {stored.changed} changed, "
            f"{stored.unchanged} unchanged; stock set for {stored.stocked}."
        )
        for sku in stored.below_held:
            self.stdout.write(f"The stock of {sku} stays as it is: shoppers hold more than the file says there are.")
        if listed.refused:
            self.stdout.write(f"{len(listed.refused)} rows refused:")
        for row in listed.refused:
            self.stdout.write(f"  line {row.line}  {row.sku or '(no SKU)'}  {row.reason}")
