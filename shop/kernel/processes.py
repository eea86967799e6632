"""What every long-running process beside the web does: say that it works, and serve its metrics."""

import sys
from collections.abc import Iterable
from os import environ
from pathlib import Path

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Metric, multiprocess, start_http_server
from prometheus_client.registry import Collector


class _Together(multiprocess.MultiProcessCollector):
    """The sum over all files in the folder but those that a process makes just now: it cannot be read while empty."""

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        files = [str(file) for file in Path(self._path).glob("*.db") if file.stat().st_size]
        summed: Iterable[Metric] = self.merge(files)  # type: ignore[no-untyped-call]  # the library is untyped here
        return summed


def announce_ready() -> None:
    """Touch `SHOP_READY_FILE`, for the supervisor that waits for it."""
    if settings.READY_FILE:
        Path(settings.READY_FILE).touch()


def metrics_registry() -> CollectorRegistry:
    """Return what this process has to tell; it is the sum over all processes that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in environ:
        return REGISTRY
    registry = CollectorRegistry()
    _Together(registry)  # type: ignore[no-untyped-call]  # the library is untyped here
    return registry


def serve_metrics(*collectors: Collector) -> None:
    """Answer Prometheus on `METRICS_PORT`, if one is set; `collectors` are asked at each scrape.

    SystemExit when another process has the port.
    """
    if not settings.METRICS_PORT:
        return
    registry = metrics_registry()
    for collector in collectors:
        registry.register(collector)
    try:
        start_http_server(settings.METRICS_PORT, addr=settings.METRICS_ADDRESS, registry=registry)
    except OSError as error:
        sys.exit(f"METRICS_PORT: {settings.METRICS_ADDRESS}:{settings.METRICS_PORT} cannot be had: {error}")
