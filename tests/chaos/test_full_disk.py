"""A disk that fills up in the middle of purchases: nobody is told a lie, and with room again all of it goes through."""

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.chaos.accounts import at_rest, money_adds_up, no_mail_went_twice, stock_adds_up
from tests.chaos.patience import PatientShopper
from tests.chaos.test_kills import SETTINGS, SKU
from tests.journeys.stack import Stack
from tests.journeys.waiting import eventually

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]

SHOPPERS = 12
DISK_MEGABYTES = 1_200
_PIECE = b"\0" * 65_536


@pytest.fixture(scope="module")
def small_disk() -> Iterator[Path]:
    """A disk of its own, which may be filled."""
    disk = Path(tempfile.mkdtemp(prefix="shop-disk-"))
    disk.chmod(0o711)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=711", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
    disk.rmdir()


@pytest.fixture(scope="module")
def stack(small_disk: Path) -> Iterator[Stack]:
    """A stack all of whose files are on that disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(small_disk))
        described = Stack(**SETTINGS)
    with described as running:
        yield running


def test_purchases_wait_for_room_and_none_is_lost(stack: Stack, small_disk: Path) -> None:
    ((at_first, _held),) = stack.rows("SELECT on_hand, held FROM inventory_stock WHERE sku = %s", SKU)
    shoppers = [PatientShopper(stack, sku=SKU) for _ in range(SHOPPERS)]

    with ThreadPoolExecutor(SHOPPERS) as crowd:
        ends = [crowd.submit(one.go, pays=True) for one in shoppers]
        eventually("somebody to be in the middle", lambda: any(shopper.ordered for shopper in shoppers))
        with _full(small_disk):
            _write_until_there_is_no_room(stack)
            answers = [PatientShopper(stack, sku=SKU).try_once("POST", "/auth/guest") for _ in range(20)]
        statuses = Counter(end.result() for end in ends)

    try:
        assert set(answers) <= {201, 503, None}
        assert set(statuses) <= {"paid", "expired"}
        at_rest(stack, seconds=90)
        stock_adds_up(stack, sku=SKU, at_first=at_first)
        money_adds_up(stack)
        no_mail_went_twice(stack)
    except BaseException as error:
        error.add_note(stack.tails())
        raise


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Leave no room on the disk meanwhile."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(_PIECE):
            pass
    yield
    filling.unlink()


def _write_until_there_is_no_room(stack: Stack) -> None:
    """Use up what PostgreSQL had set aside for itself."""
    with pytest.raises(psycopg.Error):
        stack.rows("CREATE TABLE filling AS SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")
