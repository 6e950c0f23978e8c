"""Everything participants read, loaded from `messages/` and checked once at start."""

from __future__ import annotations

from service.catalog.catalog import Catalog, load_catalog
from service.catalog.texts import UNPROMPTED_KINDS, Text, TextEntry
from service.catalog.yaml_files import CatalogError, default_messages_path

__all__ = [
    "UNPROMPTED_KINDS",
    "Catalog",
    "CatalogError",
    "Text",
    "TextEntry",
    "default_messages_path",
    "load_catalog",
]
