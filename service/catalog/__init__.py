"""Everything participants read, loaded from `messages/` and checked once at start."""

from __future__ import annotations

from service.catalog.loading import load_catalog
from service.catalog.texts import Catalog, Text, TextEntry
from service.catalog.yaml_files import CatalogError, default_messages_path

__all__ = ["Catalog", "CatalogError", "Text", "TextEntry", "default_messages_path", "load_catalog"]
