"""What every long-running process beside the web does: say that it works, and serve its metrics."""

from os import environ
from pathlib import Path

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess, start_http_server


def announce_ready() -> None:
    """Touch `SHOP_READY_FILE`, for the supervisor that waits for it."""
    if settings.READY_FILE:
        Path(settings.READY_FILE).touch()


def serve_metrics() -> None:
    """Answer Prometheus on `METRICS_PORT`, if one is set; sums over child processes that share a folder."""
    if not settings.METRICS_PORT:
        return
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library is untyped here
    start_http_server(settings.METRICS_PORT, addr=settings.METRICS_ADDRESS, registry=registry)
