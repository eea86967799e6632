"""Every POST takes an Idempotency-Key, and those that do not have a reason."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.views import APIView

_TOKENS = "its answer holds tokens, which are never stored (decision 5)"
_GATEWAY = "the gateway's own event id is the key: one row an event"
WITHOUT = {
    "/auth/register": _TOKENS,
    "/auth/guest": _TOKENS,
    "/auth/token": _TOKENS,
    "/auth/token/refresh": _TOKENS,
    "/auth/logout": "ending a session twice is ending it",
    "/payment-callback": _GATEWAY,
    "/payment-callback/{gateway}": _GATEWAY,
}


def posts() -> dict[str, Any]:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # the library is untyped here
    paths = generator.get_schema(request=None, public=True)["paths"]  # type: ignore[no-untyped-call]  # likewise
    return {path: calls["post"] for path, calls in paths.items() if "post" in calls}


def views_with_post(patterns: list[URLPattern | URLResolver]) -> Iterator[type[APIView]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views_with_post(pattern.url_patterns)
            continue
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, APIView) and hasattr(view, "post"):
            yield view


def test_every_post_takes_an_idempotency_key_or_says_why_not() -> None:
    without = {
        path
        for path, call in posts().items()
        if "Idempotency-Key" not in {parameter["name"] for parameter in call.get("parameters", [])}
    }

    assert without == set(WITHOUT)


def test_no_post_hides_from_the_schema() -> None:
    assert len(list(views_with_post(get_resolver().url_patterns))) == len(posts())
