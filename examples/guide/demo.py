"""The guide's last script against its Django API, start to finish: `make demo`.

Starts the API (SQLite unless DATABASE_URL is set) as a modest box, runs `04_both.py` with ciload, says what the verdict
means and where the reports are, and stops the API again. Arguments go to `ciload run`, for example `-d 10s`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(os.path.relpath(Path(__file__).parent))
LISTENING = "listening on "
BASELINE = "ciload-results/demo-baseline.json"  # every demo is compared with those before it
THRESHOLDS_FAILED = 99


def main(arguments: list[str]) -> int:
    command = [sys.executable, str(HERE / "serve.py"), "--modest", "--port", "0"]
    print("$", " ".join(["python", *command[1:]]), flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            base_url = wait_for_address(server)
            print(f"the guide's API listens on {base_url}", flush=True)
            code = run_ciload(base_url, arguments)
        finally:
            server.terminate()
            server.communicate()
    return explain(code)


def wait_for_address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith(LISTENING):
            return line.removeprefix(LISTENING).strip()
    raise SystemExit(f"the API did not start; see what this says: python {HERE / 'serve.py'} --modest")


def run_ciload(base_url: str, arguments: list[str]) -> int:
    command = ["run", str(HERE / "04_both.py"), "--base-url", base_url, "--wait-for", f"{base_url}/health"]
    command += ["--save-baseline", BASELINE, *arguments]
    print("$ ciload", " ".join(command), flush=True)
    return subprocess.run([sys.executable, "-m", "ciload", *command], check=False).returncode


def explain(code: int) -> int:
    if code == THRESHOLDS_FAILED:
        print(
            "\nciload left with exit code 99: one threshold holds and one does not, as the guide's story has it.\n"
            "In CI this step would fail, and the reports would say why."
        )
        print(f"This run is in {BASELINE}: after three of them, the regression gate has something to compare with.")
        return 0
    print(f"\nciload left with exit code {code}; the guide's story ends with 99.")
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
