"""Django settings. What varies comes from the environment; the defaults are for a demo on this machine only.

- DATABASE_URL: postgres://user:password@host:port/name, or with ?host=/socket/directory; unset means SQLite
- GUIDE_SQLITE: where the SQLite file is; unset means var/guide.sqlite3
- GUIDE_SECRET_KEY: Django's secret key
- MODEST: 1 means on a modest box (modest.py)
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

VAR = Path(__file__).resolve().parent.parent / "var"


def sqlite(path: Path) -> dict[str, Any]:
    """A Django database entry for an SQLite file that bears concurrent writers."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,  # seconds that a writer waits for another writer
            # Ask for the write lock at the start: a transaction that reads first and then finds another
            # writer at work fails at once with "database is locked", whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgres(url: str) -> dict[str, Any]:
    """A Django database entry for postgres://user:password@host:port/name.

    ?host= replaces the host, as in libpq: a directory there means the Unix socket in it.

    Raises:
        ImproperlyConfigured: another kind of database, or no database name.
    """
    # Without the URL, or the parser's words about it: it may hold a password.
    wrong = ImproperlyConfigured("DATABASE_URL must be postgres://user:password@host:port/name")
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in ("postgres", "postgresql") or not name:
        raise wrong
    try:
        port = parts.port or ""
    except ValueError:
        raise wrong from None
    query = parse_qs(parts.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query["host"][0] if "host" in query else parts.hostname or "",
        "PORT": query["port"][0] if "port" in query else port,
        # A modest box runs many threads (they mostly wait in line); were each to keep a connection,
        # PostgreSQL would run out of them.
        "CONN_MAX_AGE": 0 if MODEST else 60,
    }


SECRET_KEY = os.environ.get("GUIDE_SECRET_KEY", "a demo key that protects nothing")
MODEST = os.environ.get("MODEST", "0") not in ("", "0")
DEBUG = False
ALLOWED_HOSTS = ["*"]  # it listens on loopback alone, and no answer depends on the Host header

DATABASE_URL = os.environ.get("DATABASE_URL", "")
SQLITE_PATH = Path(os.environ.get("GUIDE_SQLITE") or VAR / "guide.sqlite3")
DATABASES = {"default": postgres(DATABASE_URL) if DATABASE_URL else sqlite(SQLITE_PATH)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "api",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # for Content-Length; no sessions, no cookies
APPEND_SLASH = False
ROOT_URLCONF = "api.urls"
USE_TZ = True
TIME_ZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
