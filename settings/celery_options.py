"""Celery's options, by its own lower-case names."""

import sys

from django.conf import settings

from settings import wiring

broker_url = settings.CELERY_BROKER_URL
task_ignore_result = True
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 4
worker_hijack_root_logger = False
# Celery would open a new connection for every task, and with it a server process that has prepared nothing yet.
# `settings.celery` looks after connections between tasks as Django does between requests.
CELERY_DB_REUSE_MAX = sys.maxsize
broker_connection_retry_on_startup = True
# A killed worker's tasks come back after seconds instead of the default hour.
broker_transport_options = {
    "visibility_timeout": 60,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 1,
    "socket_timeout": settings.CELERY_BROKER_TIMEOUT_SECONDS,
    # A request that cannot send a hint goes on at once; by default it would wait for six seconds.
    "max_retries": 0,
}
beat_schedule = {
    task: {
        "task": task,
        "schedule": min(every, settings.CLOCK_INTERVAL_SECONDS) if every < 60 else every,  # noqa: PLR2004  a minute
        "options": {"expires": max(every, 5)},
    }
    for task, every in wiring.CLOCK.items()
}
