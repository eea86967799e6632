"""What Prometheus hears of notifications."""

from prometheus_client import Counter, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

mails = Counter("notifications_mails_total", "Mails, by what became of them.", ["template", "outcome"])
send_seconds = Histogram(
    "notifications_send_seconds", "How long the mail server took to accept a mail.", buckets=_SECONDS
)
webhooks = Counter(
    "notifications_webhook_deliveries_total",
    "Webhooks, by what became of them: written, delivered, failed, dead, redelivered.",
    ["outcome"],
)
webhook_seconds = Histogram(
    "notifications_webhook_seconds", "How long a merchant's system took to answer, or not to.", buckets=_SECONDS
)
endpoints_disabled = Counter("notifications_webhook_disabled_total", "Endpoints disabled by the shop.", ["because"])
