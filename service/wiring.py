"""The one place that picks implementations: settings in, a ready runtime out."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.catalog import default_messages_path, load_catalog
from service.config import ConfigError, Settings, TransportName
from service.gateways.sms.protocol import ProviderRecords, SmsTransport
from service.gateways.sms.signature import SignatureChecker
from service.gateways.sms.simulator import SimulatedCarrier, SimulatorTransport
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from service.gateways.sms.twilio_account import TwilioAccountReader
from service.gateways.sms.twilio_records import TwilioRecords
from service.store.clock import Clock, ServiceClock, SimulatedClock, read_database_clock, system_clock
from service.store.database import PATIENCE_SECONDS, Database
from service.store.keyring import Keyring
from service.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a process works with. `carrier` and `simulator` exist only with TRANSPORT=simulator.

    `records` is what the provider remembers of its texts; the simulator remembers nothing: None there.
    """

    context: Context
    transport: SmsTransport
    clock: Clock
    signatures: SignatureChecker
    carrier: SimulatedCarrier | None = None
    simulator: SimulatorTransport | None = None
    records: ProviderRecords | None = None

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def database(self) -> Database:
        return self.context.database

    def close(self) -> None:
        """Let go of the provider's connections and the database."""
        if isinstance(self.transport, TwilioTransport | SimulatorTransport):
            self.transport.close()
        if isinstance(self.records, TwilioRecords):
            self.records.close()
        self.database.dispose()


def open_database(
    settings: Settings, *, patience: float = PATIENCE_SECONDS, slots: int | None = None
) -> Database:
    """The database with its keys; see Database for `patience` (seconds) and `slots`."""
    keyring = Keyring(
        [key.get_secret_value() for key in settings.encryption_keys],
        [key.get_secret_value() for key in settings.lookup_keys],
    )
    return Database(settings.database_url, keyring, patience=patience, slots=slots)


def build_runtime(
    settings: Settings,
    *,
    system: Clock | None = None,
    messages: Path | None = None,
    database: Database | None = None,
) -> Runtime:
    """Put a process together. Raises ConfigError or CatalogError with one line; opens no connection yet.

    `system` is the machine's clock in the simulator, and stands for the service's clock everywhere else.
    """
    catalog = load_catalog(messages or default_messages_path())
    database = database or open_database(settings)
    context = Context(database, catalog, settings)
    if settings.transport is TransportName.TWILIO:
        account = _twilio_account(settings)
        return Runtime(
            context=context,
            transport=TwilioTransport(account),
            records=TwilioRecords(account),
            clock=system or _shared_clock(database),
            signatures=SignatureChecker(settings.auth_tokens),
        )
    token = simulator_token(settings)
    simulator = SimulatorTransport(settings.public_url, token)
    return Runtime(
        context=context,
        transport=simulator,
        simulator=simulator,
        clock=SimulatedClock(database, system or system_clock),
        signatures=SignatureChecker((*settings.auth_tokens, token)),
        carrier=SimulatedCarrier(settings.public_url, token),
    )


def build_account_readers(settings: Settings) -> list[TwilioAccountReader]:
    """Readers of the provider account's set-up, one a token, the first the one that calls are made with.

    None in the simulator. Whoever asks for them closes them.
    """
    if settings.transport is not TransportName.TWILIO:
        return []
    account_sid, api_url = settings.twilio_account_sid, settings.twilio_api_url
    return [TwilioAccountReader(account_sid, token, api_url) for token in settings.auth_tokens]


def simulator_token(settings: Settings) -> str:
    """What the simulated provider signs with: derived from SECRET_KEY, so that all processes agree."""
    secret = settings.secret_key.get_secret_value().encode()
    return hmac.new(secret, b"simulated provider", hashlib.sha256).hexdigest()


def _shared_clock(database: Database) -> Clock:
    """One time for all machines. A database in a file has one machine, and that machine's clock."""
    return system_clock if database.is_sqlite else ServiceClock(partial(read_database_clock, database))


def _twilio_account(settings: Settings) -> TwilioAccount:
    if not settings.auth_tokens:
        raise ConfigError("TWILIO_AUTH_TOKEN is missing")
    return TwilioAccount(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.auth_tokens[0],
        messaging_service_sid=settings.twilio_messaging_service_sid,
        from_number=settings.twilio_from,
        api_url=settings.twilio_api_url,
    )
