"""What operators and probes ask: alive, ready and why not, metrics."""

import secrets
from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address

import msgspec
import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shop.kernel.http import problems
from shop.kernel.processes import metrics_registry

log = structlog.get_logger(__name__)

Check = Callable[[], str | None]
View = Callable[[HttpRequest], HttpResponse]

_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


def read_only(view: View) -> View:
    """Answer GET and HEAD; any other method is a 405."""

    @wraps(view)
    def reading(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        return problems.problem(
            405, code="method_not_allowed", detail="This is for reading.", headers={"Allow": "GET, HEAD"}
        )

    return reading


@read_only
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  Django's signature
    """Say that the process is alive; whether it can work is `readyz`'s question."""
    return _json(200, {"status": "alive"})


@read_only
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  Django's signature
    """Say whether everything a purchase needs can be reached; 503 names what cannot, and why."""
    checks: dict[str, Check] = {
        "database": database_reason,
        "migrations": migrations_reason,
        **{name: import_string(path) for name, path in settings.READINESS.items()},
    }
    reasons = {name: check() for name, check in checks.items()}
    failing = {name: reason for name, reason in reasons.items() if reason}
    if failing:
        log.warning("readiness.failing", **failing)
        return problems.problem(
            503,
            code="not_ready",
            detail="Not everything this process needs can be reached.",
            data={"reasons": failing},
            headers={"Retry-After": "5"},
        )
    return _json(200, {"status": "ready", "checks": dict.fromkeys(reasons, "ok")})


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus; sums over all worker processes when they share a folder.

    Open to the machine's own network; anybody else needs `METRICS_TOKEN` as a bearer token.
    """
    if not _may_scrape(request):
        return problems.problem(
            401,
            code="not_authenticated",
            detail="Metrics need the metrics token.",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    return HttpResponse(generate_latest(metrics_registry()), content_type=CONTENT_TYPE_LATEST)


def database_reason() -> str | None:
    """Return why PostgreSQL cannot be used, or None."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001  any reason is the answer to the question
        return _first_line(error)
    return None


def migrations_reason() -> str | None:
    """Return which migrations are missing, or None."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:  # noqa: BLE001  any reason is the answer to the question
        return _first_line(error)
    return f"{len(plan)} migrations are not applied." if plan else None


def redis_reason() -> str | None:
    """Return why Redis cannot be used, or None."""
    try:
        cache.get("readiness")
    except Exception as error:  # noqa: BLE001  any reason is the answer to the question
        return _first_line(error)
    return None


def _may_scrape(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme == "Bearer":
        return secrets.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    # A proxy stands between a forwarded caller and this address, so the address proves nothing about him.
    forwarded = any(name in request.headers for name in _FORWARDED)
    return not forwarded and _is_private(request.META.get("REMOTE_ADDR", ""))


def _is_private(address: str) -> bool:
    try:
        read = ip_address(address)
    except ValueError:
        return False
    # A server that listens on IPv6 writes every IPv4 address in a range that counts as private.
    return (getattr(read, "ipv4_mapped", None) or read).is_private


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no further word'}"


def _json(status: int, body: object) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")
