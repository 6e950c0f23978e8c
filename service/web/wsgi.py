"""The entry point of production servers: `service.web.wsgi:app`."""

from __future__ import annotations

import gc
import sys

from service.catalog import CatalogError
from service.config import ConfigError, load_settings
from service.logs import configure_logs
from service.web.app import create_app
from service.wiring import build_runtime, open_database

PATIENCE_SECONDS = 5.0
"""The provider waits fifteen seconds; an honest 503 well before that makes it try again."""

DATABASE_SLOTS = 3
"""One fewer than the threads of a process (Procfile): /twilio/fallback, which needs none, waits for a thread
for a second at most."""

try:
    _settings = load_settings()
    configure_logs(_settings.log_level, _settings.log_format)
    _database = open_database(_settings, patience=PATIENCE_SECONDS, slots=DATABASE_SLOTS)
    app = create_app(build_runtime(_settings, database=_database))
except (ConfigError, CatalogError) as error:
    sys.exit(f"aftercare: {error}")

# What was loaded so far lives as long as the process: looking through it again and again for garbage cost a
# tenth of every answer.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
