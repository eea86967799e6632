"""The alarm clocks: tasks claim due rows, the row is the truth, a task is a hint that may be lost."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")

app = Celery("shop")
app.config_from_object("settings.celery_options")
app.autodiscover_tasks()
