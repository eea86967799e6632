"""Throttles that count in Redis, and let callers through when Redis is away: a lost counter is not a lost sale."""

import structlog
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class AddressThrottle(SimpleRateThrottle):
    """Counts by the caller's address; subclasses name the rate as `scope`."""

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002  DRF's signature
        """Return the counter's key."""
        if self.scope is None:
            raise ImproperlyConfigured(f"{type(self).__name__} names no scope.")
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request and say whether it may pass."""
        try:
            return super().allow_request(request, view)
        except RedisError as error:
            log.warning("throttle.skipped", scope=self.scope, error=type(error).__name__)
            return True


class GuestThrottle(AddressThrottle):
    """How many guests one address may open."""

    scope = "guest"


class RegisterThrottle(AddressThrottle):
    """How many accounts one address may open."""

    scope = "register"


class TokenThrottle(AddressThrottle):
    """How often one address may try a password."""

    scope = "token"
