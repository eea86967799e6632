"""Development: the addresses of the running stack, readable logs, the sandbox gateway allowed."""

import os

from integrations.embedded.state import running_environment

# A command in a second terminal finds the stack that `make run` keeps running in the first.
for _name, _value in (running_environment() or {}).items():
    os.environ.setdefault(_name, _value)
os.environ.setdefault("LOG_JSON", "false")
os.environ.setdefault("THROTTLE_GUEST", "1200/min")
os.environ.setdefault("THROTTLE_REGISTER", "600/min")
os.environ.setdefault("THROTTLE_TOKEN", "600/min")

from settings.base import *  # noqa: E402, F403  after the environment; all of it goes on

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = SECRET_KEY or "development-only-secret-key-of-more-than-fifty-characters-0123456789"
SIMPLE_JWT |= {"SIGNING_KEY": SIMPLE_JWT["SIGNING_KEY"] or "development-only-jwt-key-0123456789abcdef"}
SANDBOX_GATEWAY_ALLOWED = True
PAYMENT_LIVE_MODE = env.bool("PAYMENT_LIVE_MODE", default=False)
SANDBOX_WEBHOOK_SECRETS = SANDBOX_WEBHOOK_SECRETS or ["whsec_c2FuZGJveC1nYXRld2F5LXdlYmhvb2stc2VjcmV0ISE="]
WEBHOOK_SECRET_KEYS = WEBHOOK_SECRET_KEYS or ["development-only-webhook-key-0123456789abcdef"]
WEBHOOK_LOOPBACK_ALLOWED = env.bool("WEBHOOK_LOOPBACK_ALLOWED", default=True)
PAYMENT_RETURN_ORIGINS = PAYMENT_RETURN_ORIGINS or [
    PUBLIC_URL,
    "http://localhost:3000",
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "https://shop.example.com",
]
CORS_ALLOWED_ORIGINS = CORS_ALLOWED_ORIGINS or [
    "http://localhost:3000",
    "http://localhost:5173",
]

UNFOLD |= {"ENVIRONMENT": "settings.backoffice.development_label"}

# Static files are served from where they lie; production collects them.
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
