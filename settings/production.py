"""Production: everything secret comes from the environment, and a missing one stops the start."""

from django.core.exceptions import ImproperlyConfigured

from settings.base import *  # noqa: F403

_REQUIRED = (
    "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "JWT_SIGNING_KEY",
    "ALLOWED_HOSTS", "PUBLIC_URL", "PAYMENT_RETURN_ORIGINS", "DEFAULT_GATEWAY", "EMAIL_URL",
)  # fmt: skip
_missing = [name for name in _REQUIRED if not env.str(name, default="")]
if _missing:
    raise ImproperlyConfigured(f"Set these environment variables: {', '.join(_missing)}.")

# A gateway that takes test cards never loads where real money moves.
GATEWAYS = {name: path for name, path in GATEWAYS.items() if name != "sandbox"}
if DEFAULT_GATEWAY not in GATEWAYS:
    raise ImproperlyConfigured(f"DEFAULT_GATEWAY={DEFAULT_GATEWAY} is not a gateway for production.")

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
