"""The alarm clocks: tasks claim due rows, the row is the truth, a task is a hint that may be lost."""

import os
from typing import Any

from celery import Celery, Task, signals
from django.conf import settings
from django.db import close_old_connections
from prometheus_client import multiprocess

from settings import logs
from shop.kernel.ids import new_id
from shop.kernel.processes import announce_ready, serve_metrics
from shop.kernel.tracing import Trace, tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")


class TracedTask(Task):  # type: ignore[type-arg]  # celery is untyped here
    """A task that goes on with the trace of the request or event that woke it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run within the trace its headers carry; a task the clock sent begins its own."""
        correlation_id = getattr(self.request, "shop_correlation_id", None) or str(new_id())
        causation_id = getattr(self.request, "shop_causation_id", None) or ""
        with tracing(Trace(correlation_id, causation_id)):
            return super().__call__(*args, **kwargs)


app = Celery("shop", task_cls=TracedTask)
app.config_from_object("settings.celery_options")
app.autodiscover_tasks()


@signals.setup_logging.connect
def _log_as_everybody_does(**_: Any) -> None:
    """Give worker and clock the shop's lines; where somebody answers this signal, Celery sets up none of its own."""
    logs.apply(settings.LOGGING)


@signals.worker_ready.connect
@signals.beat_init.connect
def _announce(**_: Any) -> None:
    announce_ready()


@signals.worker_init.connect
def _serve_metrics(**_: Any) -> None:
    serve_metrics()


@signals.task_prerun.connect
@signals.task_postrun.connect
def _look_after_connections(**_: Any) -> None:
    close_old_connections()


@signals.worker_process_shutdown.connect
def _forget_gauges(pid: int, **_: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library is untyped here
