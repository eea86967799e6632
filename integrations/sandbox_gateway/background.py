"""Threads beside the requests: time passing, readiness, and ending when nobody is left to end us."""

import logging
import os
import threading
import time
from http import HTTPStatus

import urllib3

from .config import Config
from .instants import utc_now
from .refunds import Refunds
from .sessions import Sessions

SWEEP_SECONDS = 0.25
READINESS_SECONDS = 0.02
log = logging.getLogger("sandbox_gateway.background")


def start_sweeper(*, sessions: Sessions, refunds: Refunds) -> None:
    """Let time pass for sessions and refunds that nobody looks at."""
    parent = os.getppid()

    def sweep_for_ever() -> None:
        while True:
            # The server's main process may be killed without a chance to end this one, which would keep the port.
            if os.getppid() != parent:
                os._exit(1)
            try:
                sweep(sessions=sessions, refunds=refunds)
            except Exception:
                log.exception("background.sweep_failed")
            time.sleep(SWEEP_SECONDS)

    threading.Thread(target=sweep_for_ever, name="sweeper", daemon=True).start()


def sweep(*, sessions: Sessions, refunds: Refunds) -> None:
    """Make every move whose time has come."""
    now = utc_now()
    for session_id in sessions.due(now=now):
        sessions.settle(session_id=session_id, now=now)
    for refund_id in refunds.due(now=now):
        refunds.settle(refund_id=refund_id, now=now)


def announce_readiness(*, config: Config) -> None:
    """Say in the log, and by touching the file that asks for it, that the gateway answers, once it does."""

    def announce_when_answering() -> None:
        url = f"http://127.0.0.1:{config.port}/healthz"
        while not answers(url=url):
            time.sleep(READINESS_SECONDS)
        if config.ready_file is not None:
            config.ready_file.touch()
        log.info("gateway.ready url=%s callbacks_to=%s", config.public_url, config.callback_url)

    threading.Thread(target=announce_when_answering, name="readiness", daemon=True).start()


def answers(*, url: str) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        return urllib3.request("GET", url, timeout=1.0, retries=False).status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False
