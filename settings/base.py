"""What is the same everywhere. The shop reads its environment in this folder alone; units stand in the names."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from settings import backoffice, logs, wiring
from settings.environment import Environment

env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- who we are -------------------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY", default="")
DEBUG = False
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{env.int('WEB_PORT', default=8000)}").rstrip("/")
SHOP_NAME = env.str("SHOP_NAME", default="Kupfer & Klee")
STATE_DIR = Path(env.str("SHOP_STATE_DIR", default=str(BASE_DIR / ".state")))
# Touched by relay, consumers, worker and clock once they work; the supervisor waits for it.
READY_FILE = env.str("SHOP_READY_FILE", default="")

# --- applications -----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "django_prometheus",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "shop.kernel.auth",
    "shop.kernel.clockwatch",
    "shop.kernel.idempotency",
    "shop.kernel.outbox",
    "shop.inventory",
    "shop.catalog",
    "cart",
    "checkout",
    "orders",
    "payments",
    "notifications",
    "integrations",
    "integrations.kafka",
    "integrations.analytics",
]
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "/admin/"
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "shop.kernel.http.middleware.RequestTrace",
    "shop.kernel.http.security.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "shop.kernel.http.middleware.AdminOnlySessions",
    "shop.kernel.http.middleware.ProblemDetails",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
# The admin's session layers stand behind one door (AdminOnlySessions), where these checks do not see them.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]
ROOT_URLCONF = "settings.urls"
WSGI_APPLICATION = "settings.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the applications' own: the admin's first page is ours, the rest of it is unfold's.
        "DIRS": [BASE_DIR / "shop" / "kernel" / "templates", BASE_DIR / "integrations" / "monitoring" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database, cache, broker ------------------------------------------------------------------------------

DATABASE_LOCK_TIMEOUT_MS = env.int("DATABASE_LOCK_TIMEOUT_MS", default=3_000)
DATABASE_STATEMENT_TIMEOUT_MS = env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=15_000)
# Threads of one web process share a pool of this size; 0 keeps one connection a process (worker, relay, commands).
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
# After so long without a sign of the database a connection has ended: where a network drops packets nobody says so, and
# the kernel would wait for a quarter of an hour or, once the statement has arrived there, for two hours.
DATABASE_TCP_USER_TIMEOUT_SECONDS = env.count("DATABASE_TCP_USER_TIMEOUT_SECONDS", default=10)
DATABASE_TCP_KEEPALIVE_SECONDS = max(DATABASE_TCP_USER_TIMEOUT_SECONDS // 2, 1)


def database(url: str) -> dict[str, Any]:
    """Return Django's description of the PostgreSQL server at `url`."""
    described: dict[str, Any] = Environment.db_url_config(url)
    time_outs = (
        f"-c lock_timeout={DATABASE_LOCK_TIMEOUT_MS} -c statement_timeout={DATABASE_STATEMENT_TIMEOUT_MS}"
        " -c idle_in_transaction_session_timeout=60000"
    )
    described |= {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0 if DATABASE_POOL_SIZE else 300,
        "CONN_HEALTH_CHECKS": not DATABASE_POOL_SIZE,
    }
    # `?host=` names a socket's folder. To psql `dbshell` hands Django's host, and no such option.
    options = described.setdefault("OPTIONS", {})
    described["HOST"] = options.pop("host", described.get("HOST", ""))
    options.update(server_side_binding=True, prepare_threshold=0, options=time_outs, connect_timeout=5)
    options.update(
        tcp_user_timeout=DATABASE_TCP_USER_TIMEOUT_SECONDS * 1_000,
        keepalives_idle=DATABASE_TCP_KEEPALIVE_SECONDS,
        keepalives_interval=DATABASE_TCP_KEEPALIVE_SECONDS,
    )
    if DATABASE_POOL_SIZE:
        described["OPTIONS"]["pool"] = pool(size=DATABASE_POOL_SIZE)
    return described


def pool(*, size: int, wait_seconds: float = 5.0) -> dict[str, Any]:
    """Return the options of psycopg's pool; a request waits for a connection for so long.

    So does the pool for a server that is away, with growing pauses; then it gives up, and the next request has it try
    at once. Left alone it would pause for as long as the server has been away.
    """
    return {"min_size": 1, "max_size": size, "timeout": wait_seconds, "reconnect_timeout": wait_seconds}


DATABASES = {"default": database(env.str("DATABASE_URL", default=""))}
REDIS_URL = env.str("REDIS_URL", default="")
KAFKA_BOOTSTRAP_SERVERS = env.str("KAFKA_BOOTSTRAP_SERVERS", default="")
KAFKA_TOPIC_PARTITIONS = env.count("KAFKA_TOPIC_PARTITIONS", default=12)
KAFKA_TOPIC_REPLICATION = env.count("KAFKA_TOPIC_REPLICATION", default=1)
# How soon a silent consumer loses its partitions; a real broker accepts 6 seconds or more.
KAFKA_SESSION_TIMEOUT_MS = env.count("KAFKA_SESSION_TIMEOUT_MS", default=6_000)
# Whatever else librdkafka should know: `security.protocol=SASL_SSL,sasl.mechanism=PLAIN,...`.
KAFKA_OPTIONS = env.dict("KAFKA_OPTIONS", default={})
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    },
}

# --- HTTP -------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.kernel.auth.authentication.StatelessJWT"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["shop.kernel.http.codecs.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["shop.kernel.http.codecs.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {
        "guest": env.str("THROTTLE_GUEST", default="60/min"),
        "register": env.str("THROTTLE_REGISTER", default="20/min"),
        "token": env.str("THROTTLE_TOKEN", default="30/min"),
    },
    "EXCEPTION_HANDLER": "shop.kernel.http.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": env.int("NUM_PROXIES", default=0),
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SHOP_NAME}: order to payment",
    "DESCRIPTION": "Cart, checkout, orders and payments of one shop.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["shop.kernel.http.schema.add_probes", "shop.kernel.http.schema.add_problem_responses"],
}
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_EXPOSE_HEADERS = ["ETag", "Idempotent-Replayed", "Retry-After", "X-Request-ID"]
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "idempotency-key", "if-match", "x-request-id", "traceparent",
]  # fmt: skip

# --- who may call -----------------------------------------------------------------------------------------

SIMPLE_JWT = {
    "ALGORITHM": env.str("JWT_ALGORITHM", default="HS256"),
    "SIGNING_KEY": env.str("JWT_SIGNING_KEY", default="", multiline=True),
    "VERIFYING_KEY": env.str("JWT_VERIFYING_KEY", default="", multiline=True),
    "ISSUER": env.str("JWT_ISSUER", default="shop"),
    "AUDIENCE": env.str("JWT_AUDIENCE", default="shop-frontend"),
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("JWT_ACCESS_LIFETIME_MINUTES", default=10)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("JWT_REFRESH_LIFETIME_DAYS", default=30)),
    "USER_ID_CLAIM": "sub",
    "CHECK_REVOKE_TOKEN": True,
}
# What `/readyz` asks beside the database: name -> callable that returns a reason or None.
READINESS = wiring.READINESS
# Long enough and not on the list of everybody's favourites: rules about signs only make passwords worse (NIST 800-63B).
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_PORT = env.int("METRICS_PORT", default=0)
METRICS_ADDRESS = env.str("METRICS_ADDRESS", default="127.0.0.1")

# --- the purchase -----------------------------------------------------------------------------------------

DEFAULT_CURRENCY = env.str("DEFAULT_CURRENCY", default="EUR")
CHECKOUT_LIFETIME_SECONDS = env.int("CHECKOUT_LIFETIME_SECONDS", default=15 * 60)
PAYMENT_WINDOW_SECONDS = env.int("PAYMENT_WINDOW_SECONDS", default=30 * 60)
# Money for an order that has expired or was cancelled. `revive`: an expired order is paid if its stock can be had
# again, all else goes back; `refund`: all goes back; `review`: it is kept until a person has decided.
ORDER_LATE_MONEY = env.str("ORDER_LATE_MONEY", default="revive")
if ORDER_LATE_MONEY not in {"revive", "refund", "review"}:
    raise ImproperlyConfigured("ORDER_LATE_MONEY is one of revive, refund and review.")
SHIPPING_RATES = wiring.SHIPPING_RATES
TAX_RATES = wiring.TAX_RATES
MONEY_GOING_BACK = wiring.MONEY_GOING_BACK

ORDER_PANELS = wiring.ORDER_PANELS
ORDER_STORIES = wiring.ORDER_STORIES
ORDER_SEARCHES = wiring.ORDER_SEARCHES

# --- payments ---------------------------------------------------------------------------------------------

DEFAULT_GATEWAY = env.str("DEFAULT_GATEWAY", default="sandbox")
SANDBOX_GATEWAY_ALLOWED = False
SANDBOX_GATEWAY_URL = env.str(
    "SANDBOX_GATEWAY_URL", default=f"http://127.0.0.1:{env.int('GATEWAY_PORT', default=8001)}"
)
SANDBOX_GATEWAY_SECRET = env.str("SANDBOX_GATEWAY_SECRET", default="sandbox-secret-key")
SANDBOX_WEBHOOK_SECRETS = env.list("SANDBOX_WEBHOOK_SECRETS", default=[])
STRIPE_API_URL = env.str("STRIPE_API_URL", default="https://api.stripe.com")
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRETS", default=[])
MOLLIE_API_URL = env.str("MOLLIE_API_URL", default="https://api.mollie.com")
MOLLIE_API_KEY = env.str("MOLLIE_API_KEY", default="")
# The first makes the addresses Mollie calls; all are accepted.
MOLLIE_WEBHOOK_SECRETS = env.list("MOLLIE_WEBHOOK_SECRETS", default=[])
# What a gateway cannot do without, by the names of the settings above.
GATEWAY_SECRETS = {
    "stripe": ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS"),
    "mollie": ("MOLLIE_API_KEY", "MOLLIE_WEBHOOK_SECRETS"),
}
GATEWAYS = {
    name: path
    for name, path in wiring.GATEWAYS.items()
    if all(globals()[secret] for secret in GATEWAY_SECRETS.get(name, ()))
}
PAYMENT_RETURN_ORIGINS = env.list("PAYMENT_RETURN_ORIGINS", default=[])
GATEWAY_CONNECT_TIMEOUT_SECONDS = env.float("GATEWAY_CONNECT_TIMEOUT_SECONDS", default=3.0)
GATEWAY_READ_TIMEOUT_SECONDS = env.float("GATEWAY_READ_TIMEOUT_SECONDS", default=10.0)
# In each process. Of the threads of a web process (4) half stay free for everything else while a gateway hangs.
GATEWAY_CALLS_AT_ONCE = env.count("GATEWAY_CALLS_AT_ONCE", default=2)
# For a call that finds no slot free, while the gateway seems well.
GATEWAY_SLOT_WAIT_SECONDS = env.float("GATEWAY_SLOT_WAIT_SECONDS", default=1.0)
# So many calls without an answer, within the window and none answered between, and the gateway is left alone for the
# pause; then one call finds out. 0 never leaves it alone.
GATEWAY_CIRCUIT_SILENCES = env.int("GATEWAY_CIRCUIT_SILENCES", default=4)
GATEWAY_CIRCUIT_WINDOW_SECONDS = env.float("GATEWAY_CIRCUIT_WINDOW_SECONDS", default=60.0)
GATEWAY_CIRCUIT_PAUSE_SECONDS = env.float("GATEWAY_CIRCUIT_PAUSE_SECONDS", default=15.0)
# Whoever reads a payment is answered from the database when the gateway takes longer.
PAYMENT_LOOK_TIMEOUT_SECONDS = env.float("PAYMENT_LOOK_TIMEOUT_SECONDS", default=2.0)
PAYMENT_POLL_DELAYS_SECONDS = env.delays("PAYMENT_POLL_DELAYS_SECONDS", default=[60, 120, 300])
PAYMENT_POLL_QUIET_SECONDS = env.int("PAYMENT_POLL_QUIET_SECONDS", default=300)
PAYMENT_UNKNOWN_DELAYS_SECONDS = env.delays("PAYMENT_UNKNOWN_DELAYS_SECONDS", default=[60, 300, 3_600, *[86_400] * 5])
# After an attempt ended without money: the gateway may know better later.
PAYMENT_LATE_LOOK_DELAYS_SECONDS = env.delays("PAYMENT_LATE_LOOK_DELAYS_SECONDS", default=[3_600, 86_400])
# A refund the gateway never answered for; then a person decides.
PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS = env.delays(
    "PAYMENT_REFUND_UNKNOWN_DELAYS_SECONDS", default=[60, 300, 3_600, *[86_400] * 5]
)
# A refund under way: banks take days.
PAYMENT_REFUND_POLL_DELAYS_SECONDS = env.delays(
    "PAYMENT_REFUND_POLL_DELAYS_SECONDS", default=[60, 300, 1_800, 7_200, 21_600, 86_400]
)
# A refund that was done: the customer's bank may send it back.
PAYMENT_REFUND_LATE_LOOK_DELAYS_SECONDS = env.delays(
    "PAYMENT_REFUND_LATE_LOOK_DELAYS_SECONDS", default=[3_600, 86_400, 604_800]
)
# A payment made in a gateway's test mode pays nothing where this is true, and the other way round.
PAYMENT_LIVE_MODE = env.bool("PAYMENT_LIVE_MODE", default=True)
# What a gateway has made within this time is compared with ours every hour; what moved within the second is still
# under way and differs from nothing.
RECONCILIATION_WINDOW_SECONDS = env.int("RECONCILIATION_WINDOW_SECONDS", default=26 * 3_600)
RECONCILIATION_QUIET_SECONDS = env.int("RECONCILIATION_QUIET_SECONDS", default=300)
CALLBACK_RETRY_DELAYS_SECONDS = env.delays(
    "CALLBACK_RETRY_DELAYS_SECONDS",
    default=[5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 36_000],
)
CALLBACK_TOLERANCE_SECONDS = 300
CALLBACK_MAX_BYTES = 256 * 1024
# What the gateways said. That they said it is known for ever.
CALLBACK_BODIES_KEPT_DAYS = env.int("CALLBACK_BODIES_KEPT_DAYS", default=90)

# --- events, tasks, analytics -----------------------------------------------------------------------------

CONSUMERS = wiring.CONSUMERS
OUTSIDE_EFFECTS = wiring.OUTSIDE_EFFECTS
REBUILDERS = wiring.REBUILDERS
# Longer than any request takes; then the next one with the same key takes over from a process that was killed.
IDEMPOTENCY_LEASE_SECONDS = env.int("IDEMPOTENCY_LEASE_SECONDS", default=90)
IDEMPOTENCY_KEPT_HOURS = 72
KAFKA_REPUBLISH_AT_BOOT_SECONDS = env.int("KAFKA_REPUBLISH_AT_BOOT_SECONDS", default=0)
# False where Debezium carries the events: then the relay has nothing to do, and its queue must not grow.
OUTBOX_QUEUED = env.bool("OUTBOX_QUEUED", default=True)
EVENT_LOG_KEPT_DAYS = env.count("EVENT_LOG_KEPT_DAYS", default=90)
# When nothing was ended for longer than the first, or our clock and the database's differ by more than the second, the
# clock is not believed, and nothing ends for a while: after a downtime the third, after a leap of the clock a whole
# window. 0 for the first believes every clock.
CLOCK_LEAP_SECONDS = env.int("CLOCK_LEAP_SECONDS", default=120)
CLOCK_SKEW_SECONDS = env.int("CLOCK_SKEW_SECONDS", default=30)
CLOCK_SETTLING_SECONDS = env.int("CLOCK_SETTLING_SECONDS", default=120)
CLOCK_INTERVAL_SECONDS = env.float("CLOCK_INTERVAL_SECONDS", default=5.0)
CELERY_BROKER_URL = REDIS_URL
# A request that wakes a task waits for its answer no longer.
CELERY_BROKER_TIMEOUT_SECONDS = 5
VIEW_SENDER = wiring.VIEW_SENDER
ANALYTICS_BUFFER_SIZE = env.int("ANALYTICS_BUFFER_SIZE", default=10_000)

# --- people -----------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Kupfer & Klee <shop@example.com>")
# Where the shop's own people read mail: refunds a gateway refused are told there, and shoppers' answers go there.
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="")
MAIL_RETRY_DELAYS_SECONDS = env.delays(
    "MAIL_RETRY_DELAYS_SECONDS", default=[5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000]
)
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT_SECONDS", default=20)
if env.str("EMAIL_URL", default=""):
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "integrations.mail_files.EmailBackend"
    EMAIL_FILE_PATH = str(STATE_DIR / "mails")
# Where a shopper sees an order in the frontend: mails lead there.
FRONTEND_ORDER_URL = env.str("FRONTEND_ORDER_URL", default=f"{PUBLIC_URL}/orders/{{order_id}}")
# The zone mails tell the time in, such as Europe/Berlin.
SHOP_TIME_ZONE = env.str("SHOP_TIME_ZONE", default="UTC")

# --- merchants' webhooks ----------------------------------------------------------------------------------

WEBHOOK_SENDER = wiring.WEBHOOK_SENDER
# Secrets that sign are derived from these; the first makes new ones, the others keep what they made.
WEBHOOK_SECRET_KEYS = env.list("WEBHOOK_SECRET_KEYS", default=[])
WEBHOOK_SECRET_OVERLAP_HOURS = env.int("WEBHOOK_SECRET_OVERLAP_HOURS", default=24)
WEBHOOK_RETRY_DELAYS_SECONDS = env.delays(
    "WEBHOOK_RETRY_DELAYS_SECONDS",
    default=[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
)
WEBHOOK_TIMEOUT_SECONDS = env.float("WEBHOOK_TIMEOUT_SECONDS", default=20.0)
# In one worker. Endpoints that have just failed get half of them at most.
WEBHOOK_CALLS_AT_ONCE = env.count("WEBHOOK_CALLS_AT_ONCE", default=8)
# So many failures in a row, and an endpoint is left alone for a pause; one delivery finds out, then the next pause.
WEBHOOK_CIRCUIT_FAILURES = env.count("WEBHOOK_CIRCUIT_FAILURES", default=5)
WEBHOOK_CIRCUIT_PAUSES_SECONDS = env.delays("WEBHOOK_CIRCUIT_PAUSES_SECONDS", default=[60, 300, 900, 3_600])
# Without a single success for so long, an endpoint is told nothing more.
WEBHOOK_DISABLED_AFTER_HOURS = env.int("WEBHOOK_DISABLED_AFTER_HOURS", default=120)
WEBHOOK_PORTS = env.list("WEBHOOK_PORTS", cast=int, default=[443, 8443])
# Loopback addresses may be called, also without TLS and at any port: for development, never in production.
WEBHOOK_LOOPBACK_ALLOWED = False
WEBHOOK_ANSWER_KEPT_BYTES = env.int("WEBHOOK_ANSWER_KEPT_BYTES", default=4_096)
# What was sent and answered. That a delivery was made is known for as long as its event may come again.
WEBHOOK_BODIES_KEPT_DAYS = env.count("WEBHOOK_BODIES_KEPT_DAYS", default=30)

UNFOLD = backoffice.look(shop_name=SHOP_NAME)

# --- files and logs ---------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT: Path | None = BASE_DIR / "staticfiles"
LOGGING = logs.configuration(as_json=env.bool("LOG_JSON", default=True), level=env.str("LOG_LEVEL", default="INFO"))
LOGGING_CONFIG = "settings.logs.apply"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
