"""The web process: granian, or any other WSGI server, serves `settings.wsgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
os.environ.setdefault("DATABASE_POOL_SIZE", "4")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
