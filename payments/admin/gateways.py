"""What the admin pages of rows that come from gateways share."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest

from payments.ports import GatewayRefused, GatewayUnavailable
from shop.kernel.admin import ActingAdmin, LongList, filter_by

BY_GATEWAY = filter_by("gateway", words=lambda: settings.GATEWAYS)


class GatewayAdmin(LongList, ActingAdmin):
    """Rows that come from gateways; acting on one may mean asking the gateway, which may not answer."""

    def carried_out(self, request: HttpRequest, row: Model, act: Callable[[], str]) -> str | None:
        """Act, log and tell; a gateway that gives no answer is told like a refusal."""
        try:
            return super().carried_out(request, row, act)
        except (GatewayUnavailable, GatewayRefused) as error:
            self.message_user(request, f"The gateway gave no answer: {error}.", messages.ERROR)
            return None
