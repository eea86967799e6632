"""Who answers what: the one table of everything that is plugged in from outside a context."""

SHIPPING_RATES = "checkout.rates.ShippingTable"
TAX_RATES = "checkout.rates.TaxTable"

# How much of an order's money is on its way back, or back already.
MONEY_GOING_BACK = "payments.queries.going_back"

# Payment providers: name -> adapter. One whose secrets the environment lacks is not offered.
GATEWAYS = {
    "sandbox": "integrations.gateways.sandbox.SandboxGateway",
    "stripe": "integrations.gateways.stripe.StripeGateway",
    "mollie": "integrations.gateways.mollie.MollieGateway",
}

READINESS = {
    "redis": "shop.kernel.http.operations.redis_reason",
    "kafka": "integrations.kafka.client.kafka_reason",
}

# Carries webhooks to merchants' systems.
WEBHOOK_SENDER = "integrations.webhooks.sender.Sender"

# What support staff see on an order's page beside the order itself, top to bottom.
ORDER_PANELS = [
    "payments.admin.attempts_panel",
    "payments.admin.refunds_panel",
    "payments.admin.findings_panel",
    "payments.admin.callbacks_panel",
    "integrations.kafka.admin.events_panel",
    "notifications.admin.mails_panel",
    "notifications.admin.webhooks_panel",
]
# What `manage.py explain_order` tells of an order: each context's part of its story, and what can happen next.
ORDER_STORIES = [
    "orders.queries.story",
    "payments.queries.story",
    "integrations.kafka.story.story",
    "notifications.queries.story",
]
# Other words by which support staff may search an order: text -> order ids.
ORDER_SEARCHES = ["payments.queries.orders_by_gateway_reference"]

# Takes views out of the buffer between requests and Kafka; started once a process.
VIEW_SENDER = "integrations.analytics.sender.start"

# Consumer group -> versioned event type -> handler. A handler is called as handler(event=..., event_id=...)
# inside a unit of work together with its inbox row.
CONSUMERS = {
    "orders": {
        "payment.success.v1": "orders.handlers.payment_succeeded",
        "payment.failed.v1": "orders.handlers.payment_failed",
        "refund.succeeded.v1": "orders.handlers.refund_succeeded",
        "refund.rejected.v1": "orders.handlers.refund_rejected",
        "refund.reversed.v1": "orders.handlers.refund_reversed",
    },
    "payments": {
        "order.created.v1": "payments.handlers.order_created",
        "order.cancelled.v1": "payments.handlers.order_cancelled",
        "order.refund_due.v1": "payments.handlers.order_refund_due",
        "order.fulfilled.v1": "payments.handlers.order_fulfilled",
    },
    "notifications": {
        "order.created.v1": "notifications.handlers.order_created",
        "order.expired.v1": "notifications.handlers.order_expired",
        "order.cancelled.v1": "notifications.handlers.order_cancelled",
        "order.fulfilled.v1": "notifications.handlers.order_fulfilled",
        "payment.success.v1": "notifications.handlers.payment_succeeded",
        "payment.failed.v1": "notifications.handlers.payment_failed",
        "refund.succeeded.v1": "notifications.handlers.refund_succeeded",
        "refund.rejected.v1": "notifications.handlers.refund_rejected",
        "refund.reversed.v1": "notifications.handlers.refund_reversed",
    },
    # What merchants' systems may hear: every fact about orders and money, and nothing of what shoppers look at.
    "webhooks": {
        "order.created.v1": "notifications.handlers.told_to_merchants",
        "order.paid.v1": "notifications.handlers.told_to_merchants",
        "order.cancelled.v1": "notifications.handlers.told_to_merchants",
        "order.expired.v1": "notifications.handlers.told_to_merchants",
        "order.fulfilled.v1": "notifications.handlers.told_to_merchants",
        "order.refund_due.v1": "notifications.handlers.told_to_merchants",
        "payment.success.v1": "notifications.handlers.told_to_merchants",
        "payment.failed.v1": "notifications.handlers.told_to_merchants",
        "refund.succeeded.v1": "notifications.handlers.told_to_merchants",
        "refund.rejected.v1": "notifications.handlers.told_to_merchants",
        "refund.reversed.v1": "notifications.handlers.told_to_merchants",
    },
    "analytics": {
        "order.created.v1": "integrations.analytics.handlers.order_created",
        "order.paid.v1": "integrations.analytics.handlers.order_paid",
        "order.cancelled.v1": "integrations.analytics.handlers.order_cancelled",
        "order.expired.v1": "integrations.analytics.handlers.order_expired",
        "payment.success.v1": "integrations.analytics.handlers.payment_succeeded",
        "payment.failed.v1": "integrations.analytics.handlers.payment_failed",
        "order.fulfilled.v1": "integrations.analytics.handlers.order_fulfilled",
        "refund.succeeded.v1": "integrations.analytics.handlers.refund_succeeded",
        "refund.rejected.v1": "integrations.analytics.handlers.refund_rejected",
        "refund.reversed.v1": "integrations.analytics.handlers.refund_reversed",
        "analytics.events.v1": "integrations.analytics.handlers.user_action",
    },
}

# What handling an event does outside the shop, for every consumer: a replay does it only where it is allowed by name
# (`--allow-effect mail`). Facts that a handler tells in turn are new ones and go their own way.
OUTSIDE_EFFECTS = {
    "orders": {},
    "payments": {"order.cancelled.v1": ("gateway",), "order.refund_due.v1": ("gateway",)},
    "notifications": dict.fromkeys(CONSUMERS["notifications"], ("mail",)),
    "webhooks": dict.fromkeys(CONSUMERS["webhooks"], ("webhook",)),
    "analytics": {},
}
# Replay safe: whose effect can be made anew from the log, and by what (`--mode rebuild`).
REBUILDERS = {
    "analytics": {"analytics.events.v1": "integrations.analytics.rebuilding.DailyCounts"},
}

# Celery beat: task -> seconds between two wake-ups. Each claims due rows; a missed wake-up loses nothing.
CLOCK = {
    "checkout.tasks.expire_checkouts": 15,
    "payments.tasks.settle_callbacks": 5,
    "payments.tasks.poll_attempts": 10,
    "payments.tasks.settle_refunds": 10,
    "payments.tasks.expire_orders": 10,
    "payments.tasks.reconcile": 3_600,
    "payments.tasks.forget_callback_bodies": 3_600,
    "notifications.tasks.send_mails": 5,
    "notifications.tasks.send_webhooks": 5,
    "notifications.tasks.forget_old_webhooks": 3_600,
    "integrations.kafka.tasks.redrive_parked": 5,
    "integrations.kafka.tasks.keep_event_log": 3_600,
    "shop.kernel.auth.tasks.forget_ended_sessions": 3_600,
    "shop.kernel.idempotency.tasks.forget_old_keys": 3_600,
}
