"""Handing texts to Twilio: one HTTP request a text, always bounded, never repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ssl import SSLCertVerificationError
from typing import Final
from urllib.parse import urlsplit

from requests import exceptions as requests_errors
from twilio.base import values
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.rest import Client
from urllib3 import exceptions as urllib3_errors

from service.domain.provider_answers import AnswerClass, classify_create, known_code
from service.gateways.sms.bounded_http import BoundedHttpClient, ServerFaultError
from service.gateways.sms.protocol import Accepted, OutgoingSms, Rejected, SendOutcome, Unknown

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
DEFAULT_POOL_SIZE: Final = 32

_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """Whose account sends, and as whom: a messaging service, or one number (E.164 or a short code).

    `api_url` (scheme://host:port) stands in for Twilio's own API host. Raises ValueError when nobody is
    named as the sender or the address has a path.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    messaging_service_sid: str = ""
    from_number: str = ""
    api_url: str = ""

    def __post_init__(self) -> None:
        if not self.messaging_service_sid and not self.from_number:
            raise ValueError("a Twilio account needs a messaging service or a number to send from")
        if urlsplit(self.api_url).path not in {"", "/"}:
            raise ValueError("TWILIO_API_URL is scheme://host:port, without a path")


class TwilioTransport:
    """Hands texts to Twilio. Safe to share between threads; one per process, closed at the end.

    `timeout` is (connect, read) in seconds; `pool_size` is the number of threads that send. Proxy
    settings and credentials files of the environment are not read: they would be searched for every text.
    """

    name = "twilio"

    def __init__(
        self,
        account: TwilioAccount,
        *,
        timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
        pool_size: int = DEFAULT_POOL_SIZE,
    ) -> None:
        self._account = account
        self._http = BoundedHttpClient(account.api_url, timeout, pool_size)
        self._client = Client(account.account_sid, account.auth_token, http_client=self._http)
        self._messages = self._client.messages

    def send(self, sms: OutgoingSms) -> SendOutcome:
        """Ask once that `sms` be sent. Whatever happens becomes an outcome; nothing is raised or logged."""
        if not _is_encodable(sms.body):
            return Rejected(AnswerClass.BUG, code=None, http_status=None)
        try:
            message = self._messages.create(
                to=sms.to.e164,
                body=sms.body,
                status_callback=sms.status_callback,
                validity_period=values.unset if sms.validity_seconds is None else sms.validity_seconds,
                **self._sender(),
            )
        except Exception as error:  # an escaping error would lose whether the text had left
            return _outcome_of_error(error)
        return _outcome_of_answer(message.sid, message.num_segments)

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.session.close()

    def _sender(self) -> dict[str, str]:
        if self._account.messaging_service_sid:
            return {"messaging_service_sid": self._account.messaging_service_sid}
        return {"from_": self._account.from_number}


def _is_encodable(body: str) -> bool:
    try:
        body.encode()
    except UnicodeEncodeError:
        return False
    return True


def _outcome_of_answer(sid: object, segments: object) -> SendOutcome:
    if not isinstance(sid, str) or _MESSAGE_SID.fullmatch(sid) is None:
        return Unknown("answer without a message id")
    # "0" with a messaging service: the sender, and so the count, is not chosen yet.
    count = int(segments) if isinstance(segments, str) and segments.isdecimal() else 0
    return Accepted(sid, count or None)


def _outcome_of_error(error: Exception) -> SendOutcome:
    if isinstance(error, TwilioRestException | TwilioServiceException):
        return _outcome_of_refusal(error.status, error.code)
    if isinstance(error, ServerFaultError):
        return Unknown(f"HTTP {error.status}", error.status)
    if isinstance(error, requests_errors.RequestException) and _never_left(error):
        return Rejected(AnswerClass.RETRY, code=None, http_status=None)
    return Unknown(type(error).__name__)


def _outcome_of_refusal(status: object, code: object) -> SendOutcome:
    if not isinstance(status, int):
        return Unknown("refusal without a status")
    # The library repeats the status where the provider gave no code.
    known = known_code(code) if isinstance(code, int) and code != status else None
    answer = classify_create(known, status)
    if answer is AnswerClass.UNKNOWN:
        return Unknown(f"HTTP {status}", status)
    return Rejected(answer, known, status)


def _never_left(error: requests_errors.RequestException) -> bool:
    """Whether no connection came about: refused, no such host, too slow, or a wrong certificate."""
    if isinstance(error, requests_errors.ConnectTimeout | requests_errors.InvalidURL):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3_errors.SSLError):
        return any(isinstance(cause, SSLCertVerificationError) for cause in reason.args)
    return isinstance(reason, urllib3_errors.NewConnectionError | urllib3_errors.ConnectTimeoutError)
