"""`python -m tests.standin`: the stand-in as a process of its own, which outlives whatever it is a test of.

Prints one line of JSON: `url` for TWILIO_API_URL, `control` for `StandinProcess`. Runs until told to stop, or
until its standard input ends.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from threading import Thread

from tests.standin.control import Control, MovableClock
from tests.standin.server import TwilioStandin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description="Stand-in for Twilio.")
    parser.add_argument("--host", default="127.0.0.1", help="where the REST API listens")
    parser.add_argument("--port", type=int, default=0, help="its port; 0 is a free one")
    parser.add_argument("--reroute", nargs=2, metavar=("PUBLIC", "REAL"), help="where the service really is")
    parser.add_argument("--no-receipts", action="store_true", help="tell nothing by itself")
    given = parser.parse_args()
    clock = MovableClock()
    standin = TwilioStandin(
        clock=clock,
        auto_receipts=not given.no_receipts,
        reroute=tuple(given.reroute) if given.reroute else None,
        keeps_requests=True,
        host=given.host,
        port=given.port,
    )
    with standin:
        control = Control(standin, clock)
        print(json.dumps({"url": standin.url, "control": control.url}), flush=True)  # noqa: T201
        Thread(target=_finish_at_end_of_input, args=(control,), daemon=True).start()
        gc.freeze()
        control.finished.wait()
        control.close()


def _finish_at_end_of_input(control: Control) -> None:
    sys.stdin.read()
    control.finished.set()


if __name__ == "__main__":
    main()
