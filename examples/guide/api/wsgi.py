"""The application that a WSGI server runs; with MODEST=1, on a modest box."""

import os
from wsgiref.types import WSGIApplication

from django.core.wsgi import get_wsgi_application

from api.modest import Box, Modest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "api.settings")


def make_application() -> WSGIApplication:
    """The API, behind the modest box if the settings ask for one."""
    application: WSGIApplication = get_wsgi_application()
    from django.conf import settings  # after the line above, which loads them

    return Modest(application, Box()) if settings.MODEST else application


application = make_application()
