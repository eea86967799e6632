"""Who calls the shop in tests: shoppers and systems over HTTP, staff in the admin; and what a refusal looks like."""

from typing import Any

import urllib3
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from shop.kernel.auth.dto import ApiKeyCaller, Caller


class FreshConnections(urllib3.PoolManager):
    """Calls once, each time on a connection of its own.

    A server hangs up on one that has idled for half a minute, which may be the very moment it is used again.
    """

    def __init__(self, *, seconds: float) -> None:
        """Wait so long for an answer."""
        super().__init__(timeout=seconds, retries=False)

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # less exact than urllib3's
        """Call as urllib3 does, and ask the server to hang up afterwards."""
        headers = {**(kw.pop("headers", None) or self.headers), "Connection": "close"}
        return super().urlopen(method, url, redirect, headers=headers, **kw)


def client_of(caller: Caller | ApiKeyCaller) -> APIClient:
    """Return a client that calls as `caller`; its token or key is taken for granted."""
    client = APIClient()
    client.force_authenticate(user=caller)  # type: ignore[arg-type]  # DRF takes anything for a user
    return client


def logged_in(*permissions: str, superuser: bool = False) -> Client:
    """Return the browser of staff who hold these permissions, such as `view_order`."""
    user = get_user_model().objects.create(email="support@example.com", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def problem(response: Any) -> tuple[int, str]:
    """Require problem details; return status and code."""
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def pointers(response: Any) -> dict[str, str]:
    """Require a refusal of fields; return code by pointer."""
    assert problem(response) == (400, "validation_error")
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}
