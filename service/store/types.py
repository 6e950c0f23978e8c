"""Column types: encrypted values and instants that are always aware UTC."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.types import TypeDecorator

from service.store.keyring import Keyring

BigId = BigInteger().with_variant(Integer, "sqlite")
"""Row ids. SQLite only numbers rows by itself when the column is called INTEGER."""

_KEYRING_ATTRIBUTE = "aftercare_keyring"


def attach_keyring(dialect: Dialect, keyring: Keyring) -> None:
    """Give an engine's dialect the keys its encrypted columns work with.

    The keyring travels with the engine, not with the module, so that two databases in one process (a test,
    a rotation) never share keys by accident.
    """
    setattr(dialect, _KEYRING_ATTRIBUTE, keyring)


def keyring_of(dialect: Dialect) -> Keyring:
    """The keys an engine's encrypted columns work with."""
    return cast(Keyring, getattr(dialect, _KEYRING_ATTRIBUTE))


class EncryptedText(TypeDecorator[str]):
    """Text that is readable in Python and unreadable in the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else keyring_of(dialect).encrypt(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else keyring_of(dialect).decrypt(value)


class EncryptedJson(TypeDecorator[dict[str, Any]]):
    """A small JSON object, encrypted as one value."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return keyring_of(dialect).encrypt(json.dumps(value, separators=(",", ":"), sort_keys=True))

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else cast(dict[str, Any], json.loads(keyring_of(dialect).decrypt(value)))


class UtcInstant(TypeDecorator[datetime]):
    """An instant: aware in Python, `timestamptz` on PostgreSQL, UTC without a zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant must carry its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        instant = cast(datetime, value)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Word(TypeDecorator[StrEnum]):
    """One word of a closed set: a plain string in the database, its enum in Python.

    Without this a loaded row holds bare strings, and comparing them by identity is silently wrong.
    """

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum], length: int) -> None:
        super().__init__(length)
        self.words = words
        self.length = length

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(self.words(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        return None if value is None else self.words(value)
