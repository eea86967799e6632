"""Support staff in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from shop.kernel.auth import services
from shop.kernel.auth.dto import Login
from shop.kernel.auth.models import ApiKey, RefreshFamily, User
from shop.kernel.clock import utc_now
from shop.kernel.http.throttling import TokenThrottle
from tests.shop.kernel.auth.sessions import open_sessions

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    services.seed_users()
    response = client.post("/admin/login/?next=/admin/", {"username": "Staff@Example.com", "password": "staff-demo-1"})
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    return client


@pytest.fixture
def shopper() -> Login:
    return services.register(email="sam@example.com", password="correct horse 1", name="Sam", now=utc_now())


def helper(client: Client, *permissions: str) -> Client:
    user = User(email="helper@example.com", is_staff=True)
    user.set_password("helpful horse 1")
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def person_form(user: User, **changes: Any) -> dict[str, Any]:
    form = {"email": user.email or "", "name": user.name, "is_active": "on", **changes}
    return {name: value for name, value in form.items() if value is not None}


def test_a_shopper_does_not_get_in(client: Client, shopper: Login) -> None:
    response = client.post("/admin/login/", {"username": "sam@example.com", "password": "correct horse 1"})

    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302


def test_passwords_are_not_guessed_for_long(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    services.seed_users()
    monkeypatch.setattr(TokenThrottle, "THROTTLE_RATES", {"token": "2/min"})
    attempt = {"username": "staff@example.com", "password": "staff-demo-1"}

    for _ in range(2):
        client.post("/admin/login/", {**attempt, "password": "guessed"})
    refused = client.post("/admin/login/", attempt)

    assert refused.status_code == 200
    assert "Too many tries" in refused.content.decode()
    assert client.get("/admin/").status_code == 302
    elsewhere = client.post("/admin/login/?next=/admin/", attempt, REMOTE_ADDR="10.0.0.9")
    assert elsewhere.status_code == 302


def test_the_way_in_needs_no_slash(client: Client) -> None:
    assert client.get("/admin").headers["Location"] == "/admin/"


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", ""])
def test_whoever_logs_in_stays_in_this_house(client: Client, wanted: str) -> None:
    services.seed_users()
    attempt = {"username": "staff@example.com", "password": "staff-demo-1"}

    response = client.post("/admin/login/", {**attempt, "next": wanted})

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("username", ["", "@", "x", "sam@" + "ü" * 80])
def test_what_is_no_address_gets_nobody_in(client: Client, username: str) -> None:
    assert client.post("/admin/login/", {"username": username, "password": "x"}).status_code == 200


@pytest.mark.parametrize("searched", ["sam@example.com", " SAM@Example.com ", "the id"])
def test_people_are_found_by_address_and_id(admin: Client, shopper: Login, searched: str) -> None:
    page = admin.get("/admin/accounts/user/", {"q": searched.replace("the id", str(shopper.user.id))})

    # The page repeats what was searched for, found or not.
    assert [person.pk for person in page.context["cl"].result_list] == [shopper.user.id]


@pytest.mark.parametrize("page", ["user", "refreshfamily"])
@pytest.mark.parametrize("searched", ["nobody@example.com", "sam", "sam@" + "ü" * 80])
def test_nobody_is_found_by_half_an_address(admin: Client, shopper: Login, page: str, searched: str) -> None:
    assert str(shopper.user.id) not in admin.get(f"/admin/accounts/{page}/", {"q": searched}).content.decode()


def test_closing_an_account_ends_its_sessions(admin: Client, shopper: Login) -> None:
    user = User.objects.get(pk=shopper.user.id)

    response = admin.post(f"/admin/accounts/user/{user.pk}/change/", person_form(user, is_active=None))

    assert response.status_code == 302
    assert not User.objects.get(pk=user.pk).is_active
    assert open_sessions(shopper.user.id) == 0


def test_a_new_name_ends_nothing(admin: Client, shopper: Login) -> None:
    user = User.objects.get(pk=shopper.user.id)

    admin.post(f"/admin/accounts/user/{user.pk}/change/", person_form(user, name="Samuel", email="SAM@Example.com"))

    assert User.objects.filter(pk=user.pk, name="Samuel", email="sam@example.com").exists()
    assert open_sessions(shopper.user.id) == 1


@pytest.mark.parametrize(
    ("email", "said"),
    [("", "everybody else has one"), ("sam@" + "ü" * 60 + ".com", "Enter a valid email address")],
)
def test_an_account_keeps_an_address(admin: Client, shopper: Login, email: str, said: str) -> None:
    user = User.objects.get(pk=shopper.user.id)

    response = admin.post(f"/admin/accounts/user/{user.pk}/change/", person_form(user, email=email))

    assert said in response.content.decode()
    assert User.objects.get(pk=user.pk).email == "sam@example.com"


def test_a_new_password_ends_the_sessions(admin: Client, shopper: Login) -> None:
    response = admin.post(
        f"/admin/accounts/user/{shopper.user.id}/password/",
        {
            "password1": "another horse 2",
            "password2": "another horse 2",
            "usable_password": "true",
            "set-password": "x",
        },
    )

    assert response.status_code == 302
    assert open_sessions(shopper.user.id) == 0
    assert services.log_in(email="sam@example.com", password="another horse 2", now=utc_now())


def test_staff_add_somebody(admin: Client) -> None:
    form = {"email": "New@Example.com", "name": "New", "usable_password": "true"}

    assert admin.get("/admin/accounts/user/add/").status_code == 200
    response = admin.post(
        "/admin/accounts/user/add/", {**form, "password1": "another horse 2", "password2": "another horse 2"}
    )

    assert response.status_code == 302
    assert services.log_in(email="new@example.com", password="another horse 2", now=utc_now())


def test_an_account_is_never_deleted(admin: Client, shopper: Login) -> None:
    assert admin.post(f"/admin/accounts/user/{shopper.user.id}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=shopper.user.id).exists()


def test_a_helper_makes_nobody_mighty(client: Client, shopper: Login) -> None:
    helping = helper(client, "view_user", "change_user")
    user = User.objects.get(pk=shopper.user.id)

    response = helping.post(
        f"/admin/accounts/user/{user.pk}/change/", person_form(user, name="Samuel", is_staff="on", is_superuser="on")
    )

    user.refresh_from_db()
    assert response.status_code == 302
    assert (user.name, user.is_staff, user.is_superuser) == ("Samuel", False, False)


def test_a_helper_does_not_touch_the_mighty(client: Client) -> None:
    services.seed_users()
    helping = helper(client, "view_user", "change_user")
    mighty = User.objects.get(email="staff@example.com")

    answers = [
        helping.post(f"/admin/accounts/user/{mighty.pk}/change/", person_form(mighty, name="x")),
        helping.post(
            f"/admin/accounts/user/{mighty.pk}/password/",
            {"password1": "another horse 2", "password2": "another horse 2", "usable_password": "true"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert User.objects.get(pk=mighty.pk).password == mighty.password


def test_sessions_are_seen_and_ended(admin: Client, shopper: Login) -> None:
    session = RefreshFamily.objects.get(user_id=shopper.user.id)

    page = admin.get("/admin/accounts/refreshfamily/", {"q": "sam@example.com"})
    admin.post("/admin/accounts/refreshfamily/", {"action": "end", "_selected_action": [str(session.pk)]})

    assert str(session.pk) in page.content.decode()
    assert (
        str(session.current_jti)
        not in admin.get(f"/admin/accounts/refreshfamily/{session.pk}/change/").content.decode()
    )
    assert open_sessions(shopper.user.id) == 0


@pytest.mark.parametrize("searched", ["user", "session"])
def test_sessions_are_found_by_either_id(admin: Client, shopper: Login, searched: str) -> None:
    session = RefreshFamily.objects.get(user_id=shopper.user.id)

    page = admin.get(
        "/admin/accounts/refreshfamily/", {"q": str(session.pk if searched == "session" else shopper.user.id)}
    )

    assert list(page.context["cl"].result_list) == [session]


def test_who_may_only_look_ends_nothing(client: Client, shopper: Login) -> None:
    helping = helper(client, "view_refreshfamily")
    session = RefreshFamily.objects.get(user_id=shopper.user.id)

    helping.post("/admin/accounts/refreshfamily/", {"action": "end", "_selected_action": [str(session.pk)]})

    assert helping.get("/admin/accounts/refreshfamily/").status_code == 200
    assert open_sessions(shopper.user.id) == 1


def test_keys_are_seen_without_their_secrets_and_revoked(admin: Client) -> None:
    key = services.issue_api_key(name="warehouse", scopes=["orders:read"], expires_at=None, now=utc_now())
    row = ApiKey.objects.get()

    page = admin.get(f"/admin/accounts/apikey/{row.pk}/change/").content.decode()
    admin.post("/admin/accounts/apikey/", {"action": "end", "_selected_action": [str(row.pk)]})

    assert row.prefix in page
    assert key.split("_", 2)[2] not in page
    assert bytes(row.digest).hex() not in page
    assert ApiKey.objects.get().revoked_at is not None


@pytest.mark.parametrize("path", ["accounts/user", "accounts/refreshfamily", "accounts/apikey", "auth/group"])
def test_every_list_opens(admin: Client, path: str) -> None:
    assert admin.get(f"/admin/{path}/").status_code == 200


@pytest.mark.parametrize("path", ["accounts/refreshfamily", "accounts/apikey"])
def test_sessions_and_keys_are_not_made_here(admin: Client, path: str) -> None:
    assert admin.get(f"/admin/{path}/add/").status_code == 403
