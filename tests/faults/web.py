"""The service's web process on the fault run's clock: else as `service.web.wsgi`."""

from __future__ import annotations

import os
from pathlib import Path

from service.config import load_settings
from service.logs import configure_logs
from service.web.app import create_app
from service.wiring import build_runtime, open_database
from tests.faults.clocks import service_clock

_settings = load_settings(_env_file=None)
configure_logs(_settings.log_level, _settings.log_format)
_database = open_database(_settings, patience=5.0, slots=3)
_clock = service_clock(_database, Path(os.environ["FAULT_RUN_SHIFT"]))
app = create_app(build_runtime(_settings, system=_clock, database=_database))
