"""Tell an order's whole story on one timeline, and what can happen next."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from orders import queries as orders
from shop.kernel.clock import utc_now
from shop.kernel.looks import masked
from shop.kernel.stories import OrderStory, Story, clock_text, without_addresses


class Command(BaseCommand):
    """See docs/replay.md."""

    help = "Tell all that happened to an order, in every context, on one timeline (UTC), and what can happen next."
    # Importing every view would double the time of an answer.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the order."""
        parser.add_argument("order", metavar="NUMBER", help="the order's number, as a person types it, or its id")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print it; CommandError when there is no such order."""
        order_id = orders.find(text=options["order"])
        if order_id is None:
            raise CommandError(f"There is no order {options['order']!r}.")
        order, now = orders.order(order_id=order_id, user_id=None), utc_now()
        stories = [_told(path, order_id=order_id, now=now) for path in settings.ORDER_STORIES]
        self._say(f"Order {order.number} ({order_id}): {order.status}, payment {order.payment_status}")
        moments = sorted((moment for story in stories for moment in story.moments), key=lambda moment: moment.at)
        for moment in moments:
            self._say(f"  {clock_text(moment.at)}  {moment.of:<13} {moment.what}")
        coming = [sentence for story in stories for sentence in story.next]
        self._say("What can happen next:")
        for sentence in coming or ["Nothing: it is finished."]:
            self._say(f"  {sentence}")

    def _say(self, line: str) -> None:
        self.stdout.write(without_addresses(masked(line)))


def _told(path: str, **about: Any) -> Story:
    story: OrderStory = import_string(path)
    return story(**about)
