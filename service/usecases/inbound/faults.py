"""Which faults mean that the database is away, and which that somebody else was first."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError

from service.store.database import DATABASE_AWAY

_LOST_RACES = frozenset({"40001", "40P01"})
"""SQLSTATE of a serialization failure and of a deadlock."""


def lost_a_race(fault: Exception) -> bool:
    """Two first texts of one number at once, or two that waited for each other: the loser may try again."""
    if isinstance(fault, IntegrityError):
        return True
    return isinstance(fault, DBAPIError) and getattr(fault.orig, "sqlstate", None) in _LOST_RACES


def is_database_away(fault: Exception) -> bool:
    """The database is away or busy: the provider should try again, and nothing is lost."""
    return isinstance(fault, DATABASE_AWAY)
