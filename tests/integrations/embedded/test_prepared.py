"""A second start does not repeat what the first has done, unless something has changed."""

from pathlib import Path

import pytest

from integrations.embedded.prepared import API_KEY, is_prepared, note_prepared


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project."""
    folder = tmp_path / "project"
    for name in ("cart/models.py", "shop/catalog/seed/products.csv", "requirements.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one\n")
    return folder


@pytest.fixture
def state(tmp_path: Path, root: Path) -> Path:
    """A state folder that was prepared by it."""
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / API_KEY).write_text("key")
    note_prepared(state_dir=folder, root=root)
    return folder


def test_the_same_sources_have_nothing_to_prepare(state: Path, root: Path) -> None:
    assert is_prepared(state_dir=state, root=root)


@pytest.mark.parametrize("name", ["cart/models.py", "shop/catalog/seed/products.csv", "requirements.txt"])
def test_a_changed_source_prepares_again(state: Path, root: Path, name: str) -> None:
    (root / name).write_text("another\n")

    assert not is_prepared(state_dir=state, root=root)


def test_a_new_source_prepares_again(state: Path, root: Path) -> None:
    (root / "cart/migrations.py").write_text("")

    assert not is_prepared(state_dir=state, root=root)


def test_a_folder_nobody_prepared_is_not_prepared(tmp_path: Path, root: Path) -> None:
    assert not is_prepared(state_dir=tmp_path, root=root)


def test_a_lost_api_key_is_made_again(state: Path, root: Path) -> None:
    (state / API_KEY).unlink()

    assert not is_prepared(state_dir=state, root=root)
