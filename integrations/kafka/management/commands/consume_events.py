import threading
import time
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.kafka.consumer import GroupConsumer
from integrations.kafka.errors import NoHandler
from integrations.kafka.groups import group, group_names
from integrations.kafka.stopping import on_stop
from integrations.kafka.topics import ensure_topics_when_reachable
from shop.kernel.processes import announce_ready, serve_metrics

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Hand Kafka's events to the contexts that listen, until SIGTERM; every group, or one."""

    help = __doc__
    # They load every URL, which doubles the start; `make check` runs them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the group's name."""
        parser.add_argument("--group", help="only this one; without it, all of them in one process")

    def handle(self, *_args: Any, group: str | None = None, **_options: Any) -> None:
        """Run one thread a group; when one of them crashes, the process ends and says so by its status."""
        serve_metrics()
        stop = threading.Event()
        on_stop(stop.set)
        members = [_Member(name=name, stop=stop) for name in (group_names() if group is None else [group])]
        ensure_topics_when_reachable(stop=stop)
        for member in members:
            member.start()
        self._watch(members, stop)
        for member in members:
            member.join()
        if crashed := [member.name for member in members if member.crashed]:
            raise CommandError(f"Crashed: {', '.join(crashed)}.")

    def _watch(self, members: list["_Member"], stop: threading.Event) -> None:
        announced = False
        while not stop.is_set() and all(member.is_alive() for member in members):
            if not announced and all(member.consumer.is_assigned.is_set() for member in members):
                announced = True
                announce_ready()
                log.info("consumers.ready", groups=[member.name for member in members])
            time.sleep(0.05)
        stop.set()


class _Member(threading.Thread):
    """One group's consumer in a thread."""

    def __init__(self, *, name: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        try:
            self.consumer = GroupConsumer(group=group(name), stop=stop)
        except NoHandler as error:
            raise CommandError(str(error)) from error
        self.crashed = False

    def run(self) -> None:
        """Consume; remember whether it ended by itself."""
        try:
            self.consumer.run()
        except Exception:
            self.crashed = True
            log.exception("consumer.crashed", group=self.name)
