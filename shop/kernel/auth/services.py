"""Open accounts, begin, renew and end sessions, issue and revoke API keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import Q

from shop.kernel.auth import api_keys, queries, tokens
from shop.kernel.auth.dto import Caller, Login, Tokens, UserView
from shop.kernel.auth.errors import (
    EmailInvalid,
    EmailTaken,
    InvalidCredentials,
    PasswordRefused,
    RefreshRefused,
    UnknownApiKey,
)
from shop.kernel.auth.models import EMAIL_LENGTH, ApiKey, RefreshFamily, User, normal_email
from shop.kernel.transactions import unit_of_work

log = structlog.get_logger(__name__)

_USE_IS_NOTED_EVERY = timedelta(minutes=1)
_DEMO = (
    ("shopper@example.com", "shopper-demo-1", "Sam Shopper", False),
    ("staff@example.com", "staff-demo-1", "Stella Staff", True),
)


def register(*, email: str, password: str, name: str, now: datetime) -> Login:
    """Open a shopper's account and begin their first session.

    Raises EmailTaken, EmailInvalid (it has no deliverable form) or PasswordRefused.
    """
    user = User(email=_normal_or_refused(email), name=name)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(
            reasons=[(reason.code or "invalid", reason.messages[0]) for reason in error.error_list]
        ) from error
    # Hashing takes a tenth of a second or more: not while a transaction is open.
    user.set_password(password)
    return _open_account(user=user, now=now)


def open_guest(*, now: datetime) -> Login:
    """Open an account for somebody who has told nothing, and begin their session."""
    return _open_account(user=User(is_guest=True, password=make_password(None)), now=now)


def log_in(*, email: str, password: str, now: datetime) -> Login:
    """Begin a session; InvalidCredentials for a wrong password, an unknown e-mail and a closed account alike.

    All three take the time of one password hash, so that the answer's time tells nothing either.
    """
    user = _who_may_log_in(email)
    if user is None:
        check_password(password, make_password(None))
        raise InvalidCredentials
    if not user.check_password(password):
        raise InvalidCredentials
    return Login(user=_view(user), tokens=_begin_session(user=user, now=now))


def refresh(*, refresh: str, now: datetime) -> Tokens:
    """Trade a refresh token for a new pair.

    Raises RefreshRefused; a token that was traded before was stolen or copied, so its whole session ends.
    """
    try:
        claims = tokens.read_refresh(refresh)
    except tokens.TokenNotOurs as error:
        raise RefreshRefused from error
    renewed = _rotate(claims=claims, now=now)
    if renewed is None:
        if _end_session(claims=claims, now=now):
            log.warning("session.refresh_reused", user_id=str(claims.user_id), session_id=str(claims.family_id))
        raise RefreshRefused
    return renewed


def log_out(*, refresh: str, now: datetime) -> bool:
    """End the session of a refresh token and say whether it was still going; RefreshRefused when it is not ours."""
    try:
        claims = tokens.read_refresh(refresh)
    except tokens.TokenExpired:
        return False
    except tokens.TokenNotOurs as error:
        raise RefreshRefused from error
    return _end_session(claims=claims, now=now)


def end_sessions(*, user_id: UUID, now: datetime) -> int:
    """End all sessions of somebody (a new password, a closed account) and return how many there were."""
    return RefreshFamily.objects.filter(user_id=user_id, revoked_at=None, expires_at__gt=now).update(revoked_at=now)


def end_these_sessions(*, session_ids: Iterable[UUID], now: datetime) -> int:
    """End the sessions with these ids and return how many were still going."""
    return RefreshFamily.objects.filter(pk__in=session_ids, revoked_at=None).update(revoked_at=now)


def forget_ended_sessions(*, now: datetime) -> int:
    """Delete sessions whose last refresh token has expired, and return how many."""
    return RefreshFamily.objects.filter(expires_at__lt=now).delete()[0]


def issue_api_key(*, name: str, scopes: Iterable[str], expires_at: datetime | None, now: datetime) -> str:
    """Issue a key and return it. It cannot be shown again: only its digest is stored."""
    key = api_keys.new_key()
    ApiKey.objects.create(
        name=name,
        prefix=api_keys.prefix_of(key) or "",
        digest=api_keys.digest_of(key),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
    )
    return key


def ensure_api_key(*, current: str, name: str, scopes: Sequence[str], now: datetime) -> str:
    """Return `current` if it is a usable key with these scopes, else issue one that never expires."""
    prefix = api_keys.prefix_of(current)
    found = queries.api_key(prefix=prefix) if prefix else None
    if (
        found
        and compare_digest(api_keys.digest_of(current), found.digest)
        and found.usable(now=now)
        and set(scopes) <= set(found.scopes)
    ):
        return current
    return issue_api_key(name=name, scopes=scopes, expires_at=None, now=now)


def revoke_api_key(*, prefix: str, now: datetime) -> bool:
    """Revoke a key and say whether it was valid before; UnknownApiKey when there is none."""
    if ApiKey.objects.filter(prefix=prefix, revoked_at=None).update(revoked_at=now):
        return True
    if not ApiKey.objects.filter(prefix=prefix).exists():
        raise UnknownApiKey(prefix=prefix)
    return False


def note_use(*, key: queries.KeyRecord, now: datetime) -> None:
    """Write down that a key was used, at most once a minute: support wants to know, callers must not wait."""
    if key.last_used_at is None or now - key.last_used_at >= _USE_IS_NOTED_EVERY:
        before = Q(last_used_at=None) | Q(last_used_at__lte=now - _USE_IS_NOTED_EVERY)
        ApiKey.objects.filter(before, pk=key.id).update(last_used_at=now)


def seed_users() -> int:
    """Create the demo shopper and the demo staff user where they are missing; return how many were."""
    there = set(User.objects.filter(email__in=[email for email, *_ in _DEMO]).values_list("email", flat=True))
    missing = []
    for email, password, name, staff in _DEMO:
        if email not in there:
            missing.append(User(email=email, name=name, is_staff=staff, is_superuser=staff))
            missing[-1].set_password(password)
    return len(User.objects.bulk_create(missing, ignore_conflicts=True))


@unit_of_work
def _open_account(*, user: User, now: datetime) -> Login:
    try:
        user.save(force_insert=True)
    except IntegrityError as error:
        if "accounts_user_email" in str(error):
            raise EmailTaken from error
        raise
    return Login(user=_view(user), tokens=_begin_session(user=user, now=now))


def _begin_session(*, user: User, now: datetime) -> Tokens:
    session = RefreshFamily.objects.create(
        user_id=user.pk,
        current_jti=tokens.new_jti(),
        created_at=now,
        expires_at=now + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"],
    )
    return _sign(
        caller=Caller(id=user.pk, guest=user.is_guest, staff=user.is_staff),
        stamp=tokens.password_stamp(user.password),
        family_id=session.pk,
        jti=session.current_jti,
        now=now,
    )


@unit_of_work
def _rotate(*, claims: tokens.RefreshClaims, now: datetime) -> Tokens | None:
    """Move the session on from this very token; None when it is not the session's newest, or nobody's any more."""
    jti = tokens.new_jti()
    moved = RefreshFamily.objects.filter(
        pk=claims.family_id, user_id=claims.user_id, current_jti=claims.jti, revoked_at=None, expires_at__gt=now
    ).update(current_jti=jti, expires_at=now + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"])
    standing = queries.standing(user_id=claims.user_id) if moved else None
    if standing is None or not compare_digest(claims.stamp, tokens.password_stamp(standing.encoded_password)):
        return None
    caller = Caller(id=claims.user_id, guest=standing.guest, staff=standing.staff)
    return _sign(caller=caller, stamp=claims.stamp, family_id=claims.family_id, jti=jti, now=now)


def _end_session(*, claims: tokens.RefreshClaims, now: datetime) -> bool:
    going = RefreshFamily.objects.filter(pk=claims.family_id, user_id=claims.user_id, revoked_at=None)
    return going.update(revoked_at=now) == 1


def _sign(*, caller: Caller, stamp: str, family_id: UUID, jti: UUID, now: datetime) -> Tokens:
    claims = tokens.RefreshClaims(user_id=caller.id, family_id=family_id, jti=jti, stamp=stamp)
    return Tokens(
        access=tokens.sign_access(caller=caller, stamp=stamp, now=now),
        refresh=tokens.sign_refresh(claims=claims, now=now),
    )


def _who_may_log_in(email: str) -> User | None:
    try:
        return User.objects.filter(email=normal_email(email), is_active=True).first()
    except ValueError:
        return None


def _normal_or_refused(email: str) -> str:
    try:
        normal = normal_email(email)
    except ValueError as error:
        raise EmailInvalid from error
    if len(normal) > EMAIL_LENGTH:
        raise EmailInvalid
    return normal


def _view(user: User) -> UserView:
    return UserView(id=user.pk, email=user.email, name=user.name, guest=user.is_guest, staff=user.is_staff)
