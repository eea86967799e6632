"""Tests: the development wiring on services the test run starts, with fast password hashes."""

from settings.dev import *  # noqa: F403  all of it goes on

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

# Static files are looked for when one is asked for: each test has a server of its own, and few ask for any.
WHITENOISE_AUTOREFRESH = True

# Longer than a busy machine takes: threads and processes connect in the midst of tests, and the cache is cleared after
# each of them.
DATABASES["default"]["OPTIONS"]["connect_timeout"] = 60
CACHES["default"]["OPTIONS"] |= {"socket_connect_timeout": 60, "socket_timeout": 60}
CELERY_BROKER_TIMEOUT_SECONDS = 60

# Views stay in the buffer, where a test can look at them.
VIEW_SENDER = ""

# Tests count silences at times of their own; those about circuits switch them on.
GATEWAY_CIRCUIT_SILENCES = 0
# Tests tell the time themselves; those about clocks that cannot be believed switch the watch on.
CLOCK_LEAP_SECONDS = 0
