"""Load `messages/guidance.yaml`: what the guidance asks for, and what carries it."""

from __future__ import annotations

from pathlib import Path

from service.catalog.yaml_files import read_yaml_file
from service.domain.data_record import DataError
from service.domain.guidance import Guidance, guidance_from_data


def load_guidance(root: Path) -> Guidance:
    """Read the file of a messages folder. Raises CatalogError: one line with file, line, what is wrong."""
    file = read_yaml_file(root, root / "guidance.yaml")
    try:
        return guidance_from_data(file.data)
    except DataError as error:
        raise file.fault_of(error) from None
