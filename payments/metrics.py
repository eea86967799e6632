"""What Prometheus hears of payments."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_SECONDS = (0.1, 0.5, 1, 2, 5, 15, 60, 300, 1_800, 7_200, 86_400)

moves = Counter("payments_attempt_moves_total", "Moves of payment attempts.", ["gateway", "status"])
settlements = Counter(
    "payments_settlements_total", "Times a gateway was asked, and what came of it.", ["source", "outcome"]
)
callbacks = Counter("payments_callbacks_total", "Callbacks, by what became of them.", ["gateway", "state"])
callback_lag = Histogram(
    "payments_callback_lag_seconds",
    "From the gateway's event to its first arrival here.",
    ["gateway"],
    buckets=_LAG_SECONDS,
)
gateway_calls = Histogram(
    "payments_gateway_call_seconds",
    "How long a gateway took to answer, by what came of it.",
    ["gateway", "call", "result"],
    buckets=_CALL_SECONDS,
)
# Each process has circuits of its own; the last that learned something speaks for all.
gateway_circuit = Gauge(
    "payments_gateway_circuit",
    "Whether the gateway is asked: 0 always, 1 by one call at a time, 2 not at all.",
    ["gateway"],
    multiprocess_mode="mostrecent",
)
gateway_held_back = Counter(
    "payments_gateway_held_back_total",
    "Calls that were not made, so that nobody waits for them.",
    ["gateway", "reason"],
)
expirations = Counter(
    "payments_expirations_total", "Orders looked at past their deadline, by what came of it.", ["outcome"]
)
late_money = Counter(
    "payments_late_money_total", "Attempts that had ended here and turned out to be paid.", ["gateway"]
)
refunds_requested = Counter("payments_refunds_requested_total", "Refunds written down, by cause.", ["gateway", "cause"])
refund_moves = Counter("payments_refund_moves_total", "Moves of refunds.", ["gateway", "status"])
refund_settlements = Counter(
    "payments_refund_settlements_total",
    "Times a gateway was asked about a refund, and what came of it.",
    ["source", "outcome"],
)
refunds_not_imported = Counter(
    "payments_refunds_not_imported_total", "Refunds a gateway alone knows of that do not fit what we know.", ["gateway"]
)
reconciliations = Counter(
    "payments_reconciliations_total",
    "Times the books were compared; failed: the gateway did not answer.",
    ["of", "result"],
)


def begin(*, gateways: Iterable[str]) -> None:
    """Tell a zero for everything of which a single one is news: what is first told as one never shows as a rise."""
    for gateway in gateways:
        late_money.labels(gateway)
        refunds_not_imported.labels(gateway)
        reconciliations.labels(gateway, "done")
        for status in ("rejected", "reversed"):
            refund_moves.labels(gateway, status)
