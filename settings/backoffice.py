"""The look of the admin: its name, its colours, and a sidebar in the order of a purchase."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import lazy

# Known once Django's settings are complete, and they are not while this is read.
_static = lazy(static, str)

# Copper, from light to dark.
_COPPER = {
    "50": "oklch(98% .012 60)",
    "100": "oklch(95% .028 58)",
    "200": "oklch(89% .055 55)",
    "300": "oklch(81% .09 52)",
    "400": "oklch(72% .125 49)",
    "500": "oklch(64% .14 46)",
    "600": "oklch(54% .13 44)",
    "700": "oklch(47% .115 42)",
    "800": "oklch(40% .09 41)",
    "900": "oklch(34% .07 40)",
    "950": "oklch(25% .05 40)",
}

# Title, icon (Material Symbols), model as `app.model`; None parts two groups.
_PAGES: list[tuple[str, str, str] | None] = [
    ("Products", "storefront", "catalog.product"),
    ("Articles", "sell", "catalog.article"),
    ("Stock", "inventory_2", "inventory.stock"),
    ("Reservations", "lock_clock", "inventory.reservation"),
    None,
    ("Carts", "shopping_cart", "cart.cart"),
    ("Checkouts", "shopping_cart_checkout", "checkout.checkout"),
    ("Shipping methods", "local_shipping", "checkout.shippingmethod"),
    ("Tax rates", "percent", "checkout.taxrate"),
    ("Orders", "receipt_long", "orders.order"),
    ("Payments", "credit_card", "payments.attempt"),
    ("Refunds", "currency_exchange", "payments.refund"),
    ("Callbacks", "webhook", "payments.callback"),
    ("Findings", "difference", "payments.finding"),
    ("Ledger", "account_balance", "payments.posting"),
    ("Mails", "mail", "notifications.mail"),
    ("Webhook endpoints", "cell_tower", "notifications.webhookendpoint"),
    ("Webhooks sent", "outgoing_mail", "notifications.webhookdelivery"),
    None,
    ("Events", "history", "outbox.loggedevent"),
    ("Waiting for Kafka", "outbox", "outbox.pendingevent"),
    ("Dead letters", "report", "kafka.parked"),
    ("Replays", "replay", "kafka.replay"),
    ("Relays", "sync_alt", "kafka.relay"),
    ("Analytics", "monitoring", "analytics.dailycount"),
    None,
    ("People", "group", "accounts.user"),
    ("Teams", "groups", "auth.group"),
    ("Sessions", "devices", "accounts.refreshfamily"),
    ("API keys", "key", "accounts.apikey"),
]


def look(*, shop_name: str) -> dict[str, Any]:
    """Return unfold's settings for a shop of this name."""
    return {
        "SITE_TITLE": shop_name,
        "SITE_HEADER": shop_name,
        "SITE_SUBHEADER": "Support",
        "SITE_SYMBOL": "spa",
        "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("integrations/favicon.svg")}],
        "SITE_URL": "/docs",
        "SHOW_HISTORY": False,
        "COLORS": {"primary": _COPPER},
        "DASHBOARD_CALLBACK": "integrations.monitoring.dashboard.show",
        "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": _groups()},
    }


def development_label(_request: HttpRequest) -> list[str]:
    """Return what stands beside the user's name, so that nobody takes this for the shop that earns money."""
    return ["Development", "info"]


def _groups() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [{"items": [_overview()]}, {"separator": True, "items": []}]
    for page in _PAGES:
        if page is None:
            groups.append({"separator": True, "items": []})
        else:
            groups[-1]["items"].append(_item(*page))
    return groups


def _overview() -> dict[str, Any]:
    return {"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")}


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _may(f"{app}.view_{name}"),
    }


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)
