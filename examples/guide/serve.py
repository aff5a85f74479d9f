"""Start the guide's API: python examples/guide/serve.py [--port 8000] [--modest] [--workers N]

Brings the database up to date, seeds it, and serves on 127.0.0.1 until SIGINT or SIGTERM. Once requests are
welcome, one line on stdout says where: "listening on http://127.0.0.1:8000".
"""

import argparse
import importlib.util
import os
import sys
from typing import Any
from wsgiref.types import WSGIApplication

NEEDS = ("django", "rest_framework", "gunicorn")
WORKERS = 2
# Full speed: enough to keep a process busy. Modest: a thread for each request in line, and some being served.
THREADS, MODEST_THREADS = 8, 128


def main() -> None:
    """Parse the command line, prepare the database, serve."""
    arguments = parse_arguments()
    require_packages()
    os.environ["DJANGO_SETTINGS_MODULE"] = "api.settings"
    os.environ["MODEST"] = "1" if arguments.modest else "0"
    database, token = prepare_database()
    print(f"database: {database}")
    print(f"token: {token}")
    if arguments.modest:
        print("modest: half a CPU, see api/modest.py")
    serve(arguments.port, arguments.workers, MODEST_THREADS if arguments.modest else THREADS)


def parse_arguments() -> argparse.Namespace:
    """The command line, with --workers settled."""
    parser = argparse.ArgumentParser(description="Start the guide's API on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default: 8000)")
    parser.add_argument(
        "--modest",
        action="store_true",
        default=os.environ.get("MODEST", "0") not in ("", "0"),
        help="run on a modest box: half a CPU (also: MODEST=1)",
    )
    parser.add_argument("--workers", type=int, help=f"processes (default: {WORKERS}; with --modest always 1)")
    arguments = parser.parse_args()
    if arguments.modest and arguments.workers not in (None, 1):
        parser.error("--modest runs in one process, as each process would be a box of its own")
    arguments.workers = arguments.workers or (1 if arguments.modest else WORKERS)
    return arguments


def require_packages() -> None:
    """Leave with a hint if a package of the guide is missing."""
    needs = (*NEEDS, "psycopg") if os.environ.get("DATABASE_URL") else NEEDS
    if missing := [name for name in needs if importlib.util.find_spec(name) is None]:
        sys.exit(f"The guide's API needs {', '.join(missing)}: pip install '.[guide]' in the repository")


def prepare_database() -> tuple[str, str]:
    """Migrate and seed; returns a name for the database (no password in it) and the token.

    Leaves with a message if the database is misspelt or out of reach.
    """
    import django
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.db import OperationalError, connection, connections

    try:
        if not settings.DATABASE_URL:
            settings.SQLITE_PATH.parent.mkdir(parents=True, exist_ok=True)
        django.setup()
        call_command("migrate", verbosity=0)
    except (ImproperlyConfigured, OperationalError, OSError) as error:
        sys.exit(f"The database cannot be used: {error}".rstrip())
    from api.demo import seed  # models can only be imported after setup

    token = seed()
    connections.close_all()  # the workers are forked from here, and a connection must not be shared
    return f"{connection.vendor}, {connection.settings_dict['NAME']}", token


def serve(port: int, workers: int, threads: int) -> None:
    """Run gunicorn until a signal ends it."""
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            for name, value in gunicorn_settings(port, workers, threads).items():
                self.cfg.set(name, value)

        def load(self) -> WSGIApplication:
            from api.wsgi import application

            return application

    Server().run()


def gunicorn_settings(port: int, workers: int, threads: int) -> dict[str, Any]:
    """What differs from gunicorn's defaults, and why."""
    return {
        "bind": f"127.0.0.1:{port}",
        "worker_class": "gthread",
        "workers": workers,
        "threads": threads,
        "preload_app": True,  # a broken application ends the command, rather than its workers again and again
        "keepalive": 75,  # as nginx; at 2 s a virtual user that pauses would often find its connection closed
        "graceful_timeout": 5,
        "loglevel": "warning",
        "control_socket_disable": True,  # no socket file in the home directory
        "when_ready": announce,
    }


def announce(arbiter: Any) -> None:
    """Say where we listen; connections made from now on are answered."""
    host, port = arbiter.LISTENERS[0].sock.getsockname()
    print(f"listening on http://{host}:{port}", flush=True)


if __name__ == "__main__":
    main()
