"""What the database itself refuses."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError

from shop.kernel.auth.models import User

pytestmark = pytest.mark.django_db


def test_addresses_are_stored_in_lower_case_only() -> None:
    with pytest.raises(IntegrityError, match="accounts_user_email_lower"):
        User.objects.create(email="Sam@example.com")


def test_an_address_belongs_to_one_person() -> None:
    User.objects.create(email="sam@example.com")

    with pytest.raises(IntegrityError, match="accounts_user_email"):
        User.objects.create(email="sam@example.com")


@pytest.mark.parametrize("fields", [{"is_guest": True, "email": "sam@example.com"}, {"is_guest": False, "email": None}])
def test_guests_alone_have_no_address(fields: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="accounts_user_guest_or_email"):
        User.objects.create(**fields)


def test_djangos_own_command_makes_a_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "mighty horse 1")

    call_command("createsuperuser", email="Boss@Example.com", interactive=False, verbosity=0)

    boss = User.objects.get()
    assert (boss.email, boss.is_staff, boss.is_superuser) == ("boss@example.com", True, True)
    assert boss.check_password("mighty horse 1")
    assert str(boss) == "boss@example.com"


def test_a_guest_has_a_name_for_the_log() -> None:
    guest = User.objects.create(is_guest=True)

    assert str(guest) == f"guest {guest.pk}"
