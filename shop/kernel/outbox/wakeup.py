"""Wake the relay soon after a commit.

A notice is a message on a Redis channel: it reaches relays on every host, takes no transaction and no lock in the
database (`NOTIFY` takes both), and may be lost: the relay polls anyway, so a notice only shortens the wait.
"""

import os
import threading
import time
from typing import Any

from django.conf import settings
from django.db import connection
from redis import Redis, RedisError
from redis.client import PubSub

MOST_OFTEN_SECONDS = 0.020
AFTER_FAILURE_SECONDS = 1.0


def _channel() -> str:
    return f"outbox:{connection.settings_dict['NAME']}"


def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


class Herald:
    """Sends the notices from a thread of its own: a request only sets a flag, whatever Redis is doing."""

    def __init__(self) -> None:
        self.sent = 0
        self._begin_anew()
        # A forked process inherits the flag but not the thread.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._something_waits = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ask for a notice; many asked for within 20 ms become one."""
        self._something_waits.set()
        if self._thread is None and settings.REDIS_URL:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                channel = _channel()
                self._thread = threading.Thread(target=self._send, args=[channel], name="relay-herald", daemon=True)
                self._thread.start()

    def _send(self, channel: str) -> None:
        # Packed once, on a connection of its own: what the client does for each command costs writers more than Redis.
        redis: Any = _redis().connection_pool.make_connection()
        notice = redis.pack_command("PUBLISH", channel, b"")
        while True:
            self._something_waits.wait()
            self._something_waits.clear()
            try:
                redis.send_packed_command(notice)
                redis.read_response()
                self.sent += 1
                time.sleep(MOST_OFTEN_SECONDS)
            except RedisError:
                redis.disconnect()
                time.sleep(AFTER_FAILURE_SECONDS)


_herald = Herald()


def wake_relay() -> None:
    """Give notice that something waits in the queue; never waits and never fails."""
    _herald.wake()


class Notices:
    """The relay's ear: waits for a notice, or for the time to pass."""

    def __init__(self) -> None:
        self._subscription: PubSub | None = None
        self._deaf_until = 0.0

    def wait(self, seconds: float) -> bool:
        """Return True as soon as a notice comes, False after `seconds` without one (or without Redis)."""
        try:
            subscription = self._listen()
            if subscription is None:
                time.sleep(seconds)
                return False
            heard = subscription.get_message(ignore_subscribe_messages=True, timeout=seconds) is not None
            while heard and subscription.get_message(ignore_subscribe_messages=True, timeout=0) is not None:
                pass
        except RedisError:
            self.close()
            self._deaf_until = time.monotonic() + AFTER_FAILURE_SECONDS
            return False
        return heard

    def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _listen(self) -> PubSub | None:
        if self._subscription is None and settings.REDIS_URL and time.monotonic() >= self._deaf_until:
            self._subscription = PubSub(_redis().connection_pool, ignore_subscribe_messages=True)
            self._subscription.subscribe(_channel())
        return self._subscription
