"""One reconciliation: run, counted and logged, also when the gateway fails half-way."""

from datetime import datetime

import structlog

from payments import metrics
from payments.dto import Reconciliation
from payments.models import Finding
from payments.ports import GatewayRefused, GatewayUnavailable
from payments.services.reconciliation.gateway import Progress, Sweep
from payments.services.reconciliation.house import HouseSweep
from payments.states import FindingState
from shop.kernel.transactions import forbid_unit_of_work

log = structlog.get_logger(__name__)

# What our own books are called where a gateway's name stands otherwise.
HOUSE = "house"


def reconcile_gateway(
    *, gateway: str, since: datetime, now: datetime, on_progress: Progress = lambda _: None
) -> Reconciliation:
    """Compare a gateway's sessions and refunds since then with ours, both ways, and write down what differs.

    Raises GatewayUnavailable and GatewayRefused; what was compared until then is written, the rest is untouched.
    """
    forbid_unit_of_work("Reconciling")
    sweep = Sweep(gateway=gateway, since=since, now=now, on_progress=on_progress)
    try:
        sweep.run()
    except (GatewayUnavailable, GatewayRefused) as error:
        metrics.reconciliations.labels(gateway, "failed").inc()
        log.warning("reconciliation.failed", gateway=gateway, error=str(error))
        raise
    compared = {"sessions": sweep.sessions, "refunds": sweep.refunds}
    return _done(Reconciliation(of=gateway, compared=compared, new=sweep.noted.new, gone=sweep.noted.gone))


def reconcile_house(*, since: datetime, now: datetime, on_progress: Progress = lambda _: None) -> Reconciliation:
    """Compare payments with orders since then, and the whole ledger with both, and write down what differs."""
    sweep = HouseSweep(since=since, now=now, on_progress=on_progress)
    sweep.run()
    return _done(
        Reconciliation(of=HOUSE, compared={"orders": sweep.orders}, new=sweep.noted.new, gone=sweep.noted.gone)
    )


def _done(reconciliation: Reconciliation) -> Reconciliation:
    metrics.reconciliations.labels(reconciliation.of, "done").inc()
    log.info(
        "reconciliation.done",
        gateway=reconciliation.of,
        new=reconciliation.new,
        gone=reconciliation.gone,
        open=Finding.objects.filter(state=FindingState.OPEN).count(),
        **reconciliation.compared,
    )
    return reconciliation
