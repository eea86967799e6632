"""Wiring. Importing it makes the Celery application known to whoever wakes a task."""

from settings.celery import app as celery_app

__all__ = ["celery_app"]
