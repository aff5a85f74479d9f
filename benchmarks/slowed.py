"""The guide's API, made slower by a share of the CPU time that each request takes.

python -m benchmarks.slowed --share 0.1 [--port 0]
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
THREADS = 1  # with more, the lock of the interpreter turns a tenth of CPU into a fifth of the median

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
    arguments = parser.parse_args()
    sys.path.insert(0, str(GUIDE))
    os.environ["DJANGO_SETTINGS_MODULE"] = "api.settings"
    import serve  # type: ignore[import-not-found]  # of the guide, which is no package

    serve.prepare_database()
    import api.wsgi  # type: ignore[import-not-found]

    api.wsgi.application = slowed(api.wsgi.application, arguments.share)
    serve.serve(arguments.port, 1, THREADS)


if __name__ == "__main__":
    main()
