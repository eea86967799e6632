"""Production: everything secret comes from the environment, and a missing one stops the start."""

from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

from settings.base import *  # noqa: F403  all of it goes on

_REQUIRED = (
    "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "JWT_SIGNING_KEY",
    "ALLOWED_HOSTS", "PUBLIC_URL", "PAYMENT_RETURN_ORIGINS", "DEFAULT_GATEWAY", "EMAIL_URL", "WEBHOOK_SECRET_KEYS",
)  # fmt: skip
_missing = [name for name in _REQUIRED if not env.str(name, default="")]
if _missing:
    raise ImproperlyConfigured(f"Set these environment variables: {', '.join(_missing)}.")

# RFC 7518, section 3.2: whoever guesses a shorter key writes tokens of anybody's.
_SHORTEST_KEY_BYTES = 32
_key_bytes = len(SIMPLE_JWT["SIGNING_KEY"].encode())
if SIMPLE_JWT["ALGORITHM"] == "HS256" and _key_bytes < _SHORTEST_KEY_BYTES:
    raise ImproperlyConfigured(f"JWT_SIGNING_KEY has {_key_bytes} bytes; HS256 needs {_SHORTEST_KEY_BYTES} or more.")

if any(len(key.encode()) < _SHORTEST_KEY_BYTES for key in WEBHOOK_SECRET_KEYS):
    raise ImproperlyConfigured(f"Each of WEBHOOK_SECRET_KEYS needs {_SHORTEST_KEY_BYTES} bytes or more.")

# A gateway that takes test cards never loads where real money moves.
GATEWAYS = {name: path for name, path in GATEWAYS.items() if name != "sandbox"}
_lacking = [name for name in GATEWAY_SECRETS.get(DEFAULT_GATEWAY, ()) if not globals()[name]]
if _lacking:
    raise ImproperlyConfigured(f"DEFAULT_GATEWAY={DEFAULT_GATEWAY} needs {' and '.join(_lacking)}.")
if DEFAULT_GATEWAY not in GATEWAYS:
    raise ImproperlyConfigured(f"DEFAULT_GATEWAY={DEFAULT_GATEWAY} is not a gateway for production.")

if "stripe" in GATEWAYS and find_spec("stripe") is None:
    raise ImproperlyConfigured("Payments through Stripe need its library: install requirements-stripe.txt.")
_TAKES_REAL_MONEY = {
    "stripe": STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_")),
    "mollie": MOLLIE_API_KEY.startswith("live_"),
}
for _name in _TAKES_REAL_MONEY.keys() & GATEWAYS.keys():
    if _TAKES_REAL_MONEY[_name] != PAYMENT_LIVE_MODE:
        _mode = "real money" if _TAKES_REAL_MONEY[_name] else "tests"
        raise ImproperlyConfigured(f"The key of {_name} is for {_mode}, but PAYMENT_LIVE_MODE={PAYMENT_LIVE_MODE}.")
if any(len(secret.encode()) < _SHORTEST_KEY_BYTES for secret in MOLLIE_WEBHOOK_SECRETS):
    raise ImproperlyConfigured(f"Each of MOLLIE_WEBHOOK_SECRETS needs {_SHORTEST_KEY_BYTES} bytes or more.")

# TLS ends at a proxy, and every request comes from its address: throttles count the one it was called from.
REST_FRAMEWORK = {**REST_FRAMEWORK, "NUM_PROXIES": env.int("NUM_PROXIES", default=1)}
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
