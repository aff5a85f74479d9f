"""The guide's API behind gunicorn, made slower by a share of the CPU time that each request takes.

python -m benchmarks.slowed --share 0.1 [--port 0] [--workers 2] [--server gthread --threads 4]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import thread_time
from typing import Any

GUIDE = Path(__file__).parents[1] / "examples" / "guide"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def slowed(application: Application, share: float) -> Application:
    """The application; each request burns so much more CPU than it needs."""

    def slower(environment: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        began = thread_time()
        body = application(environment, start_response)
        enough = began + (thread_time() - began) * (1 + share)
        while thread_time() < enough:
            pass
        return body

    return slower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--server", choices=["sync", "gthread"], default="gthread", help="sync closes each connection")
    # With many threads that are busy, the lock of the interpreter turns a tenth of CPU into a fifth of the median.
    parser.add_argument("--threads", type=int, default=1, help="of each worker of gthread")
    arguments = parser.parse_args()
    sys.path.insert(0, str(GUIDE))
    os.environ["DJANGO_SETTINGS_MODULE"] = "api.settings"
    import serve  # type: ignore[import-not-found]  # of the guide, which is no package

    serve.prepare_database()
    import api.wsgi  # type: ignore[import-not-found]

    api.wsgi.application = slowed(api.wsgi.application, arguments.share)
    of_guide = serve.gunicorn_settings
    serve.gunicorn_settings = lambda *settings: of_guide(*settings) | {"worker_class": arguments.server}
    serve.serve(arguments.port, arguments.workers, arguments.threads if arguments.server == "gthread" else 1)


if __name__ == "__main__":
    main()
