"""Settings from the environment, typed and checked once at start.

A wrong or missing setting raises `ConfigError`, whose message is one line that names the variable and
never its value: the value may be a secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.domain.answering import OptOutMode


class ConfigError(Exception):
    """A setting is wrong or missing; the message names it in one line."""


class TransportName(StrEnum):
    SIMULATOR = "simulator"
    TWILIO = "twilio"


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Keys = Annotated[list[SecretStr], NoDecode]

DEMO_ORG_NAME = "River House"
"""The fictional program of the demo. Going live refuses it."""


MAX_PROXIES = 10


class Settings(BaseSettings):
    """Everything the service reads from its environment (a `.env` file is read too)."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    database_url: str = "sqlite:///var/aftercare.db"
    secret_key: SecretStr
    encryption_keys: Keys = Field(min_length=1)
    lookup_keys: Keys = Field(min_length=1)

    org_name: str = Field(default=DEMO_ORG_NAME, min_length=2, max_length=40)
    org_phone: str = Field(default="202-555-0100", max_length=20)
    org_hours: str = Field(default="Mon-Fri 9-5", min_length=2, max_length=30)
    org_timezone: str = "America/New_York"
    org_country: Literal["US", "CA", "GB"] = "US"

    transport: TransportName = TransportName.SIMULATOR
    twilio_account_sid: str = ""
    twilio_auth_token: Keys = Field(default_factory=list)
    twilio_messaging_service_sid: str = ""
    twilio_from: str = ""
    twilio_api_url: str = ""
    twilio_optout_mode: OptOutMode | None = None
    sender_segments_per_second: float | None = Field(default=None, gt=0, le=1000)

    public_url: str = "http://127.0.0.1:8000"
    trusted_proxies: int = 0
    """How many proxies of ours a visitor's request passes, the platform's included."""
    metrics_token: SecretStr | None = None
    port: int = Field(default=8000, ge=1, le=65535)
    web_concurrency: int = Field(default=2, ge=1, le=64)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    @field_validator("encryption_keys", "lookup_keys", "twilio_auth_token", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return _split(value)

    @field_validator("twilio_optout_mode", "metrics_token", "sender_segments_per_second", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        text = str(value).strip()
        if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PROXIES):
            raise ValueError(f"must be the number of proxies in front of this service, 0 to {MAX_PROXIES}")
        return int(text)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:
            raise ValueError("needs at least 16 characters; `aftercare init` makes one")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _fernet(cls, value: list[SecretStr]) -> list[SecretStr]:
        for key in value:
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                raise ValueError("holds a key that is not a Fernet key; `aftercare init` makes one") from None
        return value

    @field_validator("org_name", "org_phone", "org_hours", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @field_validator("org_phone")
    @classmethod
    def _callable(cls, value: str) -> str:
        if sum(char.isdigit() for char in value) < 3:
            raise ValueError("must be a telephone number that people can call, such as 202-555-0100")
        return value

    @field_validator("lookup_keys")
    @classmethod
    def _lookup(cls, value: list[SecretStr]) -> list[SecretStr]:
        if any(len(key.get_secret_value()) < 16 for key in value):
            raise ValueError("holds a key shorter than 16 characters; `aftercare init` makes one")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        for prefix in ("postgres://", "postgresql://"):
            if value.startswith(prefix):
                return _checked_database("postgresql+psycopg://" + value.removeprefix(prefix))
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
        return _checked_database(value)

    @field_validator("org_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is not an IANA time zone such as America/New_York")
        return value

    @field_validator("public_url", "twilio_api_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not _is_base_url(value):
            raise ValueError(
                "must be http:// or https:// and a host, without a query, such as https://example.org"
            )
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty; it must be the address that the provider calls")
        return value

    @model_validator(mode="after")
    def _twilio_is_complete(self) -> Self:
        if self.transport is not TransportName.TWILIO:
            return self
        missing = [
            name
            for name, value in (
                ("TWILIO_ACCOUNT_SID", self.twilio_account_sid),
                ("TWILIO_AUTH_TOKEN", self.twilio_auth_token),
                (
                    "TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM",
                    self.twilio_messaging_service_sid or self.twilio_from,
                ),
                ("TWILIO_OPTOUT_MODE", self.twilio_optout_mode),
            )
            if not value
        ]
        if missing:
            raise ValueError(f"TRANSPORT=twilio needs {', '.join(missing)}")
        return self

    @property
    def optout_mode(self) -> OptOutMode:
        """Who answers STOP and HELP; the simulator lets us answer all of them."""
        return self.twilio_optout_mode or OptOutMode.APP

    @property
    def segments_per_second(self) -> float | None:
        """Pace of the sender in segments per second; None means unlimited (the simulator's default)."""
        if self.sender_segments_per_second is not None:
            return self.sender_segments_per_second
        return 3.0 if self.transport is TransportName.TWILIO else None

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Tokens that may sign what the provider sends us, newest first."""
        return tuple(token.get_secret_value() for token in self.twilio_auth_token)


def _checked_database(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("cannot be read: check host, port and name") from None
    if not parsed.database:
        raise ValueError("names no database")
    return url


def _is_base_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    has_more = parts.query or parts.fragment or any(char.isspace() for char in value)
    return parts.scheme in ("http", "https") and has_host and not has_more


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int)).upper()
    if first["type"] == "missing":
        return f"{where} is missing; `aftercare init` makes it"
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "too_short" and where in ("ENCRYPTION_KEYS", "LOOKUP_KEYS"):
        return f"{where} is empty; `aftercare init` makes one"
    return f"{where}: {what}" if where else what


def load_settings(**overrides: object) -> Settings:
    """Read and check the settings; `overrides` win over the environment.

    Raises ConfigError with one line that names the first wrong or missing variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None
