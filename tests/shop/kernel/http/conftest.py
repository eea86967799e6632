"""The shop with a few more paths, and a client that hears of failures as a browser does."""

import pytest
from django.test import Client
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _more_paths(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.shop.kernel.http.urls"


@pytest.fixture
def browser() -> Client:
    """A client that is answered with 500 instead of an exception."""
    return Client(raise_request_exception=False)
