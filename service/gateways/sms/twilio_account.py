"""Reading how the account at Twilio is set up: never changes anything there, every call bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from requests import exceptions as requests_errors
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.response import Response
from twilio.rest import Client

from service.gateways.sms.bounded_http import BoundedHttpClient, ServerFaultError

T = TypeVar("T")

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 6.0
MOST_NUMBERS: Final = 20
_LONGEST_SHORT_CODE = 6


class NotCheckedError(Exception):
    """The provider did not tell; says only why. `is_silent`: it did not answer at all."""

    def __init__(self, why: str, *, is_silent: bool = False) -> None:
        super().__init__(why)
        self.is_silent = is_silent


class WrongCredentialsError(Exception):
    """The provider does not know the account with this token."""


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """`status` is the provider's word (active, suspended, closed), empty if it gave none."""

    status: str
    is_trial: bool


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """Where the provider sends texts that come in; with `is_application` an application of the account."""

    url: str
    method: str
    fallback_url: str
    is_application: bool = False


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """One of our numbers: `can_text` is None if the provider does not say."""

    number: str = field(repr=False)
    can_text: bool | None
    route: InboundRoute


@dataclass(frozen=True, slots=True)
class OwnService:
    """A messaging service. Without `is_routed_by_number` its own route is the one that counts."""

    is_routed_by_number: bool
    route: InboundRoute


class TwilioAccountReader:
    """Reads one account's set-up with one token. `timeout` is (connect, read) in seconds."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        api_url: str = "",
        timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> None:
        self._sid = account_sid
        self._http = _DatedHttpClient(api_url, timeout, pool_size=1)
        self._client = Client(account_sid, auth_token, http_client=self._http)

    @property
    def provider_time(self) -> datetime | None:
        """The provider's clock (UTC, whole seconds) as of its last answer, None if it did not tell."""
        try:
            return parsedate_to_datetime(self._http.date or "").astimezone(UTC)
        except (TypeError, ValueError):
            return None

    def read_standing(self) -> AccountStanding:
        """Read the account itself. Raises WrongCredentialsError and NotCheckedError."""
        account = _asked(lambda: self._client.api.accounts(self._sid).fetch())
        return AccountStanding(_word(account.status), _word(account.type) == "trial")

    def find_number(self, number: str) -> OwnNumber | None:
        """Read one of the account's numbers (E.164, or a short code), None if it is not the account's.

        Raises WrongCredentialsError and NotCheckedError.
        """
        if not number.startswith("+") and len(number) <= _LONGEST_SHORT_CODE:
            codes = _asked(lambda: self._client.short_codes.list(short_code=number, limit=MOST_NUMBERS))
            return next((_short_code(code) for code in codes if code.short_code == number), None)
        found = _asked(
            lambda: self._client.incoming_phone_numbers.list(phone_number=number, limit=MOST_NUMBERS)
        )
        return next((_number(one) for one in found if one.phone_number == number), None)

    def read_service(self, service_sid: str) -> OwnService:
        """Read a messaging service. Raises WrongCredentialsError and NotCheckedError."""
        service = _asked(lambda: self._client.messaging.v1.services(service_sid).fetch())
        if _text(service.sid) != service_sid:
            raise NotCheckedError("an answer about something else")
        url, method = _text(service.inbound_request_url), _method(service.inbound_method)
        route = InboundRoute(url, method, _text(service.fallback_url))
        return OwnService(service.use_inbound_webhook_on_number is True, route)

    def list_service_numbers(self, service_sid: str) -> list[str]:
        """The first twenty numbers and short codes that a messaging service sends from.

        Raises WrongCredentialsError and NotCheckedError.
        """
        service = self._client.messaging.v1.services(service_sid)
        numbers = _asked(lambda: service.phone_numbers.list(limit=MOST_NUMBERS))
        found = [_text(number.phone_number) for number in numbers]
        if not found:
            with suppress(NotCheckedError):  # few accounts have short codes at all
                codes = _asked(lambda: service.short_codes.list(limit=MOST_NUMBERS))
                found = [_text(code.short_code) for code in codes]
        return [number for number in found if number]

    def close(self) -> None:
        """Close the connection."""
        self._http.session.close()


class _DatedHttpClient(BoundedHttpClient):
    """Keeps the date that the last answer bore."""

    date: str | None = None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        response = super().request(method, url, *args, **kwargs)
        self.date = response.headers.get("Date") if response.headers else None
        return response


def _asked(ask: Callable[[], T]) -> T:
    """Ask, and turn whatever goes wrong into one of our two errors: the library's may carry a number."""
    try:
        return ask()
    except (TwilioRestException, TwilioServiceException) as error:
        failure: Exception = (
            WrongCredentialsError() if error.status == 401 else NotCheckedError(f"HTTP {error.status}")
        )
    except ServerFaultError as error:
        failure = NotCheckedError(str(error))
    except requests_errors.RequestException as error:
        failure = NotCheckedError(_describe(error), is_silent=True)
    except Exception as error:  # an answer that is not what the provider's library expects
        failure = NotCheckedError(f"an answer that cannot be read: {type(error).__name__}")
    raise failure


def _describe(error: requests_errors.RequestException) -> str:
    if isinstance(error, requests_errors.Timeout):
        return "no answer in time"
    if isinstance(error, requests_errors.SSLError):
        return "its certificate is not accepted"
    return "no connection"


def _number(found: Any) -> OwnNumber:
    capabilities = found.capabilities if isinstance(found.capabilities, dict) else {}
    can_text = capabilities.get("sms", capabilities.get("SMS"))
    return OwnNumber(
        found.phone_number,
        can_text if isinstance(can_text, bool) else None,
        InboundRoute(
            _text(found.sms_url),
            _method(found.sms_method),
            _text(found.sms_fallback_url),
            is_application=bool(_text(found.sms_application_sid)),
        ),
    )


def _short_code(found: Any) -> OwnNumber:
    route = InboundRoute(_text(found.sms_url), _method(found.sms_method), _text(found.sms_fallback_url))
    return OwnNumber(found.short_code, True, route)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _word(value: object) -> str:
    return _text(value).lower()


def _method(value: object) -> str:
    return _text(value).upper() or "POST"
