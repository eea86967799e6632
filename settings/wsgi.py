"""The web process: granian, or any other WSGI server, serves `settings.wsgi:application`."""

import os
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
os.environ.setdefault("DATABASE_POOL_SIZE", "4")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from shop.kernel.http.bodies import taken_in

application = taken_in(get_wsgi_application(), longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
# Django would import the views with the first request: one that is broken stops the start, and no shopper waits.
import_module(settings.ROOT_URLCONF)
