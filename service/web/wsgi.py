"""The entry point of production servers: `service.web.wsgi:app`."""

from __future__ import annotations

import sys

from service.catalog import CatalogError
from service.config import ConfigError, load_settings
from service.logs import configure_logs
from service.web.app import create_app
from service.wiring import build_runtime

try:
    _settings = load_settings()
    configure_logs(_settings.log_level, _settings.log_format)
    app = create_app(build_runtime(_settings))
except (ConfigError, CatalogError) as error:
    sys.exit(f"aftercare: {error}")
