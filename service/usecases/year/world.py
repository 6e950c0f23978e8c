"""A service of its own for simulated people: a database that is thrown away, and nobody's settings."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from sqlalchemy import event

from service.catalog import load_catalog
from service.catalog.yaml_files import read_yaml_file
from service.config import Settings, TransportName
from service.domain.local_time import to_utc
from service.domain.year.people import ORG_ZONE, ZONES_FROM_EAST, Person
from service.store.database import Database
from service.store.keyring import Keyring
from service.store.meetings import Meeting, MeetingSource
from service.store.schema import upgrade
from service.usecases.campaigns.save_campaign import save_campaign
from service.usecases.context import Context
from service.usecases.operations.program_rows import sync_programs
from service.usecases.year.carrier import Line, PaperCarrier

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it, for us alone
_CAMPAIGN = """\
name: Office hours
kind: recurring
rule: FREQ=MONTHLY;INTERVAL=3;BYDAY=1WE
time: "14:00"
text:
  en: "{org}: our office has new hours, {org_hours}. Call {org_phone}."
  es: "{org}: tenemos nuevo horario, {org_hours}. Llame al {org_phone}."
"""


class SetClock:
    """A clock that shows what it was set to (aware UTC)."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class World:
    """The service, its clock, its carrier, and where the simulated people's meetings are (by zone)."""

    context: Context
    clock: SetClock
    carrier: PaperCarrier
    meetings: dict[str, int]


class _OwnSettings(Settings):
    """Settings that read no environment and no file: a simulation is the same on every machine."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@contextmanager
def open_world(seed: int, people: Sequence[Person], start_on: date, messages: Path) -> Iterator[World]:
    """A migrated service for these people, gone at the end. Raises CatalogError."""
    memory = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="aftercare-year-", dir=memory) as name:
        folder = Path(name)
        clock = SetClock(datetime.combine(start_on, time(0), tzinfo=UTC))
        context = _build_context(folder, messages)
        try:
            upgrade(context.database)
            with context.database.begin() as session:
                sync_programs(session, context.catalog, clock())
            _save_campaign(context, folder, clock())
            lines = {person.phone.e164: _line(person, start_on) for person in people}
            yield World(context, clock, PaperCarrier(seed, lines, clock), _add_meetings(context, clock()))
        finally:
            context.database.dispose()


def joins_at(person: Person, start_on: date) -> datetime:
    """When somebody joins (aware UTC): half a minute past a minute, never at the moment of a round."""
    at = time(person.join_minute // 60, person.join_minute % 60, 30)
    return to_utc(start_on + timedelta(days=person.joins_on), at, ZoneInfo(person.zone))


def _build_context(folder: Path, messages: Path) -> Context:
    settings = _OwnSettings(
        database_url=f"sqlite:///{folder / 'year.db'}",
        secret_key=SecretStr(secrets.token_urlsafe(48)),
        encryption_keys=[SecretStr(Fernet.generate_key().decode())],
        lookup_keys=[SecretStr(secrets.token_urlsafe(48))],
        transport=TransportName.SIMULATOR,
        org_timezone=ORG_ZONE,
    )
    keyring = Keyring(
        [key.get_secret_value() for key in settings.encryption_keys],
        [key.get_secret_value() for key in settings.lookup_keys],
    )
    database = Database(settings.database_url, keyring, pool_size=1)
    event.listen(database.engine, "connect", _forget_disk)
    return Context(database, load_catalog(messages), settings)


def _forget_disk(connection: Any, _record: Any) -> None:
    """What is thrown away need not reach the disk."""
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-65536")


def _line(person: Person, start_on: date) -> Line:
    joined_at = joins_at(person, start_on)
    lost, refused = (
        None if day is None else joined_at + timedelta(days=day)
        for day in (person.lost_on, person.refused_on)
    )
    return Line(person.number, lost, refused)


def _save_campaign(context: Context, folder: Path, now: datetime) -> None:
    path = folder / "campaign.yaml"
    path.write_text(_CAMPAIGN, encoding="utf-8")
    save_campaign(context, read_yaml_file(path, path), "simulation", now)


def _add_meetings(context: Context, now: datetime) -> dict[str, int]:
    """One meeting a week in every zone; ids by zone."""
    with context.database.begin() as session:
        source = MeetingSource(name="simulation", format="manual", timezone=ORG_ZONE)
        session.add(source)
        session.flush()
        meetings = {
            zone: Meeting(
                source_id=source.id,
                external_id=zone,
                fingerprint=zone,
                name="Evening Circle",
                weekday=1 + number,
                starts_at=time(18, 30),
                timezone=zone,
                venue="in_person",
                place="Example Hall",
                first_seen_at=now,
                last_seen_at=now,
            )
            for number, zone in enumerate(ZONES_FROM_EAST)
        }
        session.add_all(meetings.values())
        session.flush()
        return {zone: meeting.id for zone, meeting in meetings.items()}
