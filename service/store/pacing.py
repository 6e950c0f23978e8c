"""Our number's pace, shared by all processes through one row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import SmallInteger, String, case, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.domain.pacing import MAX_BACKOFF_STEP, backoff, book_times
from service.store.base import Base
from service.store.database import real_now
from service.store.types import UtcInstant


class Sender(Base):
    """Our number's pace, in the database's real time.

    `next_at` is when the next segment may go. `backoff_step` counts how often in a row the provider said
    that there were too many requests. Until `blocked_until` nothing unprompted leaves (`blocked_reason`).
    """

    __tablename__ = "senders"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    next_at: Mapped[datetime] = mapped_column(UtcInstant)
    backoff_step: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    blocked_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    blocked_reason: Mapped[str | None] = mapped_column(String(40))


SENDER = "default"


def find_booked_until(session: Session) -> datetime | None:
    """Until when the sender is booked or backing off, in the database's real time."""
    return session.scalars(select(Sender.next_at).where(Sender.name == SENDER)).first()


def find_sender_block(session: Session) -> str | None:
    """Why nothing unprompted leaves for the time being, or None."""
    query = select(Sender.blocked_until, Sender.blocked_reason).where(
        Sender.name == SENDER, Sender.blocked_until.is_not(None)
    )
    row = session.execute(query).first()
    return None if row is None or row.blocked_until <= real_now(session) else row.blocked_reason


def reserve_sending_times(
    session: Session, segments: Sequence[int], rate: float, now: datetime
) -> list[datetime]:
    """Book the sender for texts of so many segments; returns when each may start.

    All in the database's real time. Shorter than asked when the sender has no time soon enough for the rest
    (see `book_times`). `rate` is in segments a second. Locks the sender's row until the transaction ends.
    """
    row = session.execute(select(Sender.next_at).where(Sender.name == SENDER).with_for_update()).first()
    if row is None:
        session.add(Sender(name=SENDER, next_at=now))
        session.flush()
    starts = book_times(now if row is None else row.next_at, now, segments, rate)
    if starts:
        cost = timedelta(seconds=segments[len(starts) - 1] / rate)
        _change(session, next_at=starts[-1] + cost)
    return starts


def charge_sender(session: Session, segments: int, rate: float, now: datetime) -> None:
    """Book for a text that has left already: an answer that rode in a webhook's response."""
    booked = session.execute(select(Sender.next_at).where(Sender.name == SENDER).with_for_update()).scalar()
    if booked is not None:
        _change(session, next_at=max(booked, now) + timedelta(seconds=segments / rate))


def back_off(session: Session, jitter: float, now: datetime) -> timedelta:
    """Rest, longer each time in a row; returns for how long. `now` is the database's real time."""
    row = session.execute(
        select(Sender.next_at, Sender.backoff_step).where(Sender.name == SENDER).with_for_update()
    ).first()
    if row is None:
        session.add(Sender(name=SENDER, next_at=now))
        session.flush()
    step = min((row.backoff_step if row else 0) + 1, MAX_BACKOFF_STEP)
    gap = backoff(step, jitter)
    _change(session, next_at=max(row.next_at if row else now, now + gap), backoff_step=step)
    return gap


def end_backoff(session: Session) -> None:
    """The provider took a text: the next refusal counts as the first again."""
    session.execute(
        update(Sender).where(Sender.name == SENDER, Sender.backoff_step > 0).values(backoff_step=0)
    )


def block_sender(session: Session, reason: str, until: datetime) -> None:
    """Let nothing unprompted leave before `until` (the database's real time); never shortens a block."""
    later = case(
        (Sender.blocked_until.is_(None), until),
        (Sender.blocked_until < until, until),
        else_=Sender.blocked_until,
    )
    _change(session, blocked_until=later, blocked_reason=reason)


def _change(session: Session, **values: object) -> None:
    session.execute(
        update(Sender)
        .where(Sender.name == SENDER)
        .values(values)
        .execution_options(synchronize_session=False)
    )
