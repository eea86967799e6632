"""What support staff see of people, their sessions and API keys; no page shows a secret."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm

from shop.kernel.admin import LongList, ReadOnlyAdmin
from shop.kernel.auth import services
from shop.kernel.auth.models import ApiKey, RefreshFamily, User, normal_email
from shop.kernel.clock import utc_now
from shop.kernel.http.throttling import TokenThrottle
from shop.kernel.ids import as_uuid

_POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


class CountedLoginForm(AuthenticationForm):
    """Logging in to the admin; an address has as many tries here and at `POST /auth/token` together as there."""

    def clean(self) -> dict[str, Any]:
        """Refuse without looking at the password once there were too many tries."""
        if self.request and not TokenThrottle().allow_request(Request(self.request), APIView()):
            raise ValidationError("Too many tries. Wait a minute, then try again.", code="throttled")
        cleaned: dict[str, Any] = super().clean()
        return cleaned


admin.site.login_form = CountedLoginForm


class NewUserForm(UserCreationForm):
    """Somebody new, known by e-mail."""

    class Meta:
        model = User
        fields = ["email", "name"]


class EndingPasswordForm(AdminPasswordChangeForm):
    """A new password, which ends the sessions begun under the old one."""

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002  Django's signature
        """Save the password and end the sessions."""
        user: User = super().save(commit)
        services.end_sessions(user_id=user.pk, now=utc_now())
        return user


@admin.register(User)
class PersonAdmin(LongList, UserAdmin, ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """People. An account is closed, never deleted: orders name it."""

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = EndingPasswordForm
    fieldsets = [
        (None, {"fields": ["id", "email", "name", "password"]}),
        ("May do", {"fields": ["is_active", *_POWERS]}),
        ("Since", {"fields": ["is_guest", "date_joined", "last_login"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]
    readonly_fields = ["id", "is_guest", "date_joined", "last_login"]
    list_display = ["id", "email", "name", "is_guest", "is_staff", "is_active", "date_joined"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["email"]
    search_help_text = "The whole e-mail address, or the id"

    def found(self, rows: QuerySet[User], text: str) -> QuerySet[User]:
        """Find by the whole address or the id."""
        if user_id := as_uuid(text):
            return rows.filter(pk=user_id)
        try:
            return rows.filter(email=normal_email(text))
        except ValueError:
            return rows.none()

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only a superuser hands out powers: else whoever may edit people could make themselves one."""
        return [*self.readonly_fields, *(() if _is_superuser(request) else _POWERS)]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only a superuser changes a superuser."""
        if obj is not None and obj.is_superuser and not _is_superuser(request):
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Orders name their shopper for good."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: "ModelForm[User]",
        change: bool,  # noqa: FBT001  Django's signature
    ) -> None:
        """Save, and end the sessions of an account that is closed now."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active:
            services.end_sessions(user_id=obj.pk, now=utc_now())


@admin.register(RefreshFamily)
class SessionAdmin(LongList, ReadOnlyAdmin):
    """On which devices people are logged in."""

    list_display = ["id", "user", "created_at", "expires_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    search_help_text = "The person's whole e-mail address or id, or the session's id"
    fields = ["id", "user", "created_at", "expires_at", "revoked_at"]
    actions = ["end"]

    def found(self, rows: QuerySet[RefreshFamily], text: str) -> QuerySet[RefreshFamily]:
        """Find by person or id."""
        if some_id := as_uuid(text):
            return rows.filter(pk=some_id) | rows.filter(user_id=some_id)
        try:
            return rows.filter(user__email=normal_email(text))
        except ValueError:
            return rows.none()

    @admin.action(description="End these sessions", permissions=["act"])
    def end(self, request: HttpRequest, queryset: QuerySet[RefreshFamily]) -> None:
        """End the chosen sessions."""
        ended = services.end_these_sessions(session_ids=queryset.values_list("pk", flat=True), now=utc_now())
        self.message_user(request, f"Sessions ended: {ended}.", messages.SUCCESS)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of internal callers; `manage.py api_key issue` makes new ones."""

    list_display = ["name", "prefix", "scopes", "expires_at", "revoked_at", "last_used_at"]
    ordering = ["-id"]
    search_fields = ["name", "prefix"]
    fields = ["name", "prefix", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at"]
    actions = ["end"]

    @admin.action(description="Revoke these keys", permissions=["act"])
    def end(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke the chosen keys."""
        now = utc_now()
        revoked = sum(services.revoke_api_key(prefix=key.prefix, now=now) for key in queryset)
        self.message_user(request, f"Keys revoked: {revoked}.", messages.SUCCESS)


admin.site.unregister(Group)


@admin.register(Group)
class TeamAdmin(GroupAdmin, ModelAdmin):
    """Groups of staff who may do the same."""


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
