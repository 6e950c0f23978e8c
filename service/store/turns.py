"""Turns: transactions that must see each other's counts, one after the other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.service_state import ServiceSetting


def take_turn(session: Session, name: str, now: datetime) -> None:
    """Wait for the turn called `name` and keep it until this transaction ends.

    What is counted after this is everything that earlier turns committed. Take it before any other lock.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = insert(ServiceSetting).values(name=name, value={}, changed_at=now, changed_by="service")
    session.execute(row.on_conflict_do_update(index_elements=["name"], set_={"changed_at": now}))
