"""Tables of people, their sessions, and API keys."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.encoding import punycode

from shop.kernel.ids import new_id

EMAIL_LENGTH = 254
NAME_LENGTH = 150


def normal_email(text: str) -> str:
    """Return the one stored form of an address: lower case, the domain in ASCII; ValueError when it has none."""
    local, _, domain = text.strip().lower().rpartition("@")
    return f"{local}@{punycode(domain)}"


class UserManager(BaseUserManager["User"]):
    """Finds people by e-mail however they write it."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the person who logs in with this address; User.DoesNotExist when nobody does."""
        try:
            return self.get(email=normal_email(username or ""))
        except ValueError:
            raise self.model.DoesNotExist from None

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create somebody who may do everything; `manage.py createsuperuser` calls this."""
        user = self.model(email=normal_email(email), is_staff=True, is_superuser=True, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person: a shopper, somebody of the staff, or a guest who has told no name yet."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Guests have none, and nothing is unique that is empty.
    email = models.EmailField(max_length=EMAIL_LENGTH, null=True, blank=True)  # noqa: DJ001  see above
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    is_guest = models.BooleanField(default=False, editable=False)
    is_staff = models.BooleanField(default=False, help_text="May log in to this site.")
    is_active = models.BooleanField(default=True, help_text="Take this away instead of deleting an account.")
    date_joined = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["email"], name="accounts_user_email"),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_user_email_lower"),
            models.CheckConstraint(
                condition=models.Q(is_guest=True, email=None) | models.Q(is_guest=False, email__isnull=False),
                name="accounts_user_guest_or_email",
            ),
        ]

    def __str__(self) -> str:
        return self.email or f"guest {self.pk}"

    def clean(self) -> None:
        """Bring the address into its stored form before a form compares and saves it."""
        super().clean()
        try:
            self.email = normal_email(self.email) if self.email else None
        except ValueError:
            raise ValidationError({"email": "Enter a valid email address."}) from None
        # Forms leave `is_guest` out and so pass over the table's own constraint.
        if self.is_guest is (self.email is not None):
            raise ValidationError({"email": "Guests have no e-mail address; everybody else has one."})


class RefreshFamily(models.Model):
    """One session: a chain of refresh tokens of which only the newest, `current_jti`, is worth anything."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    current_jti = models.UUIDField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_refresh_family"
        verbose_name = "session"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class ApiKey(models.Model):
    """A key of an internal caller. The key itself is shown once and never stored."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)
    scopes = ArrayField(models.TextField())
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_api_key"
        verbose_name = "API key"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["prefix"], name="accounts_api_key_prefix")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"
