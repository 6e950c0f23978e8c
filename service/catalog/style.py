"""Load `messages/style.yaml`: the words that texts are checked against."""

from __future__ import annotations

from pathlib import Path

from service.catalog.yaml_files import read_yaml_file
from service.domain.data_record import DataError
from service.domain.style_words import Style, style_from_data


def load_style(root: Path) -> Style:
    """Read the word lists of a messages folder. Raises CatalogError: one line with file, line, fault."""
    file = read_yaml_file(root, root / "style.yaml")
    try:
        return style_from_data(file.data)
    except DataError as error:
        raise file.fault_of(error) from None
