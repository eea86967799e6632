"""Accounts, sessions and keys, without HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection

from shop.kernel.auth import services
from shop.kernel.auth.dto import Login, Tokens
from shop.kernel.auth.errors import EmailTaken, InvalidCredentials, RefreshRefused, UnknownApiKey
from shop.kernel.auth.models import ApiKey, RefreshFamily, User
from shop.kernel.clock import utc_now
from tests.races import be_patient
from tests.shop.kernel.auth.sessions import open_sessions

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 1"


def register(email: str = "sam@example.com") -> Login:
    return services.register(email=email, password=PASSWORD, name="", now=utc_now())


@pytest.mark.parametrize(
    ("email", "password"),
    [("sam@example.com", "wrong horse 1"), ("nobody@example.com", PASSWORD), ("closed@example.com", PASSWORD)],
)
def test_every_failed_log_in_hashes_once(monkeypatch: pytest.MonkeyPatch, email: str, password: str) -> None:
    register()
    register("closed@example.com")
    User.objects.filter(email="closed@example.com").update(is_active=False)
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return encode(hasher, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)

    with pytest.raises(InvalidCredentials):
        services.log_in(email=email, password=password, now=utc_now())

    assert len(hashed) == 1


def test_nobody_logs_in_as_a_guest() -> None:
    services.open_guest(now=utc_now())

    with pytest.raises(InvalidCredentials):
        services.log_in(email="", password="", now=utc_now())


def test_a_session_that_was_not_renewed_in_time_is_over(now: datetime) -> None:
    tokens = services.open_guest(now=utc_now()).tokens
    RefreshFamily.objects.update(expires_at=utc_now())

    with pytest.raises(RefreshRefused):
        services.refresh(refresh=tokens.refresh, now=utc_now())


def test_an_expired_refresh_token_is_refused_and_logs_out_quietly() -> None:
    tokens = services.open_guest(now=utc_now() - timedelta(days=31)).tokens

    with pytest.raises(RefreshRefused):
        services.refresh(refresh=tokens.refresh, now=utc_now())
    assert services.log_out(refresh=tokens.refresh, now=utc_now()) is False


def test_each_renewal_makes_the_session_longer() -> None:
    began = utc_now() - timedelta(days=20)
    tokens = services.open_guest(now=began).tokens

    services.refresh(refresh=tokens.refresh, now=began + timedelta(days=19))

    assert RefreshFamily.objects.get().expires_at == began + timedelta(days=49)


def close(user: User) -> None:
    user.is_active = False


def change_password(user: User) -> None:
    user.set_password("another horse 2")


@pytest.mark.parametrize("change", [close, change_password])
def test_a_closed_account_or_a_new_password_ends_every_session(change: Callable[[User], None]) -> None:
    tokens = register().tokens
    user = User.objects.get()
    change(user)
    user.save()

    with pytest.raises(RefreshRefused):
        services.refresh(refresh=tokens.refresh, now=utc_now())

    assert open_sessions(user.pk) == 0


def test_all_sessions_of_one_person_end_together() -> None:
    mine, other = register(), register("other@example.com")
    services.log_in(email="sam@example.com", password=PASSWORD, now=utc_now())

    ended = services.end_sessions(user_id=mine.user.id, now=utc_now())

    assert ended == 2
    assert open_sessions(other.user.id) == 1


def test_sessions_nobody_can_renew_are_forgotten() -> None:
    services.open_guest(now=utc_now() - timedelta(days=31))
    going = services.open_guest(now=utc_now())

    assert services.forget_ended_sessions(now=utc_now()) == 1
    assert RefreshFamily.objects.get().user_id == going.user.id


@pytest.mark.django_db(transaction=True)
def test_ten_registrations_of_one_address_make_one_account() -> None:
    together = Barrier(10)

    def one(_: int) -> Login | None:
        try:
            be_patient()
            together.wait(timeout=60)
            return register()
        except EmailTaken:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(one, range(10)))

    assert sum(outcome is not None for outcome in outcomes) == 1
    assert (User.objects.count(), RefreshFamily.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_ten_uses_of_one_refresh_token_at_most_one_counts() -> None:
    refresh = services.open_guest(now=utc_now()).tokens.refresh
    together = Barrier(10)

    def one(_: int) -> Tokens | None:
        try:
            be_patient()
            together.wait(timeout=60)
            return services.refresh(refresh=refresh, now=utc_now())
        except RefreshRefused:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        renewed = [outcome for outcome in pool.map(one, range(10)) if outcome is not None]

    assert len(renewed) <= 1
    assert RefreshFamily.objects.get().revoked_at is not None
    for tokens in renewed:
        with pytest.raises(RefreshRefused):
            services.refresh(refresh=tokens.refresh, now=utc_now())


def test_demo_people_are_made_once_and_can_log_in(statements: Callable[..., object]) -> None:
    assert (services.seed_users(), services.seed_users()) == (2, 0)

    shopper = services.log_in(email="shopper@example.com", password="shopper-demo-1", now=utc_now())
    staff = services.log_in(email="staff@example.com", password="staff-demo-1", now=utc_now())
    assert (shopper.user.staff, staff.user.staff) == (False, True)
    assert User.objects.get(pk=staff.user.id).is_superuser


def test_demo_passwords_are_left_as_their_owners_set_them() -> None:
    services.seed_users()
    user = User.objects.get(email="shopper@example.com")
    user.set_password("my own horse 3")
    user.save()

    services.seed_users()

    assert User.objects.get(pk=user.pk).password == user.password


def test_a_known_key_is_kept_and_anything_else_replaced() -> None:
    def ensure(current: str, *scopes: str) -> str:
        return services.ensure_api_key(current=current, name="demo", scopes=scopes, now=utc_now())

    key = ensure("", "orders:read")

    assert ensure(key, "orders:read") == key
    assert ensure(key, "orders:read", "payments:read") != key
    assert ensure("nonsense", "orders:read") != key
    services.revoke_api_key(prefix=key[5:17], now=utc_now())
    assert ensure(key, "orders:read") != key


def test_revoking_says_what_it_found() -> None:
    key = services.issue_api_key(name="warehouse", scopes=["orders:read"], expires_at=None, now=utc_now())
    prefix = key[5:17]

    assert services.revoke_api_key(prefix=prefix, now=utc_now()) is True
    assert services.revoke_api_key(prefix=prefix, now=utc_now()) is False
    with pytest.raises(UnknownApiKey):
        services.revoke_api_key(prefix="000000000000", now=utc_now())


def test_a_key_keeps_each_scope_once() -> None:
    services.issue_api_key(name="warehouse", scopes=["b:read", "a:read", "b:read"], expires_at=None, now=utc_now())

    assert ApiKey.objects.get().scopes == ["a:read", "b:read"]
