"""`python -m tests.faults.worker`: one machine of the fault run.

The service's own worker, all of it, with three things of the run around it: its machine's time of day may be
wrong, the true time may be moved forward, and calls to the provider are given up after fewer seconds.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from service.config import Settings, load_settings
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from service.logs import configure_logs
from service.scheduler import Worker
from service.wiring import Runtime, build_runtime, open_database
from tests.faults.clocks import follow_error, service_clock

TIMEOUTS = 2.0, 4.0
"""Seconds to connect and to wait for an answer; the service's own are 5 and 15."""


def build_hurried_runtime(settings: Settings, shift: Path, *, is_guarded: bool = True) -> Runtime:
    """The service's runtime on the run's clock, with short patience for the provider."""
    database = open_database(settings)
    clock = service_clock(database, shift, is_guarded=is_guarded)
    runtime = build_runtime(settings, system=clock, database=database)
    account = TwilioAccount(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.auth_tokens[0],
        messaging_service_sid=settings.twilio_messaging_service_sid,
        from_number=settings.twilio_from,
        api_url=settings.twilio_api_url,
    )
    return replace(runtime, transport=TwilioTransport(account, timeout=TIMEOUTS))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.worker")
    parser.add_argument("--shift", type=Path, required=True, help="seconds the true time is moved forward")
    parser.add_argument("--error", type=Path, required=True, help="seconds this machine's clock is wrong")
    parser.add_argument("--own-clock", action="store_true", help="believe the machine's clock")
    given = parser.parse_args()
    settings = load_settings(_env_file=None)
    configure_logs(settings.log_level, settings.log_format)
    follow_error(given.error)
    runtime = build_hurried_runtime(settings, given.shift, is_guarded=not given.own_clock)
    finished = Worker(runtime).run()
    os._exit(0 if finished in (True, None) else 1)


if __name__ == "__main__":
    main()
