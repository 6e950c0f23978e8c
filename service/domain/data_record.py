"""Data from a file or a row, read with types, so that a fault can say where it is and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

Place = tuple[str | int, ...]
"""Keys and list positions that lead from the top of some data to one value in it."""

_Choice = TypeVar("_Choice", bound=StrEnum)


class DataError(ValueError):
    """Data is not what was expected: one line, and the `place` where the value is or should be."""

    def __init__(self, problem: str, place: Place = ()) -> None:
        super().__init__(problem)
        self.place = place


def show(value: object) -> str:
    """A value from a data file for a one-line message, cut short."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@dataclass(frozen=True, slots=True)
class DataRecord:
    """A mapping, what messages call it, and where it stands in the whole. Its faults are of type `error`."""

    values: Mapping[str, Any]
    name: str
    error: type[DataError]
    place: Place = ()

    @classmethod
    def of(cls, data: object, name: str, error: type[DataError], place: Place = ()) -> DataRecord:
        """Take data as a record. Raises `error` when it is no mapping, or a key is not text."""
        if not isinstance(data, Mapping):
            raise error(f"{name}: found {show(data)}; expected keys with values", place)
        for key in data:
            if not isinstance(key, str):
                raise error(f"{name}: the key {show(key)} is not text; expected it in quotes", place)
        return cls(data, name, error, place)

    def named(self, name: str) -> DataRecord:
        return replace(self, name=name)

    def fault(self, problem: str, *place: str | int) -> DataError:
        """An error about this record, or about what stands in it at `place`."""
        return self.error(f"{self.name}: {problem}", (*self.place, *place))

    def refuse_others(self, known: Iterable[str]) -> None:
        """Raises for a key that nothing reads: it is a slip of the pen, and would be ignored silently."""
        names = list(known)
        for key in self.values:
            if key not in names:
                raise self.fault(f"unknown key {show(key)}; expected one of {', '.join(names)}", key)

    def find_text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.fault(f"{name} is {show(value)}; expected text, in quotes if it has digits", name)
        return value

    def get_text(self, name: str) -> str:
        value = self.find_text(name)
        if value is None:
            raise self.fault(f"{name} is missing; expected text", name)
        return value

    def get_number(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            found = "missing" if value is None else show(value)
            raise self.fault(f"{name} is {found}; expected a whole number from {low} to {high}", name)
        return value

    def get_choice(self, name: str, choices: type[_Choice], default: _Choice | None = None) -> _Choice:
        value = self.values.get(name, default)
        if value not in list(choices):
            found = "missing" if value is None else show(value)
            raise self.fault(f"{name} is {found}; expected one of {', '.join(choices)}", name)
        return choices(value)

    def list_values(self, name: str) -> list[Any]:
        """A list under a key; empty when the key is absent or empty."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.fault(f"{name} is {show(value)}; expected a list", name)
        return list(value)

    def list_texts(self, name: str) -> tuple[str, ...]:
        values = self.list_values(name)
        for position, value in enumerate(values):
            if not isinstance(value, str) or not value.strip():
                problem = f"{name} has {show(value)}; expected text, in quotes if it is no word"
                raise self.fault(problem, name, position)
        return tuple(values)

    def list_records(self, name: str, called: str) -> list[DataRecord]:
        """The mappings of a list; each is named by what it is `called` and its id."""
        return [
            self.record_at(item, called, name, position)
            for position, item in enumerate(self.list_values(name))
        ]

    def record_at(self, data: object, called: str, *place: str | int) -> DataRecord:
        """A mapping inside this one as a record of its own."""
        record = DataRecord.of(data, called, self.error, (*self.place, *place))
        own_id = record.values.get("id")
        return record.named(f"{called} {own_id}") if isinstance(own_id, str) else record

    def get_words(self, name: str) -> dict[str, str]:
        """A mapping from text to text under a key; empty when the key is absent."""
        value = self.values.get(name)
        if value is None:
            return {}
        inner = self.record_at(value, f"{self.name}, {name}", name)
        return {key: inner.get_text(key) for key in inner.values}
