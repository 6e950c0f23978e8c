"""What Twilio remembers of our texts: listed and fetched, always bounded, never repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeVar

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from service.domain.phone import PhoneNumber
from service.gateways.sms.bounded_http import BoundedHttpClient, ServerFaultError
from service.gateways.sms.protocol import LookupFailedError, ProviderText
from service.gateways.sms.twilio import CONNECT_SECONDS, READ_SECONDS, TwilioAccount

T = TypeVar("T")

PAGE_SIZE: Final = 1000
MAX_PAGES_OF_NUMBER: Final = 20
MAX_PAGES_IN: Final = 20
LISTING_SECONDS: Final = 20.0
"""Texts that came in are listed up to so many pages and for so long in one go; past it, ask for less."""

_NOT_OFFERED = frozenset({404, 405, 501})


class TwilioRecords:
    """Reads the account's texts. Safe to share between threads; closed at the end.

    It has connections of its own, so that looking texts up never keeps a text from being sent.
    """

    def __init__(
        self,
        account: TwilioAccount,
        *,
        timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
        page_size: int = PAGE_SIZE,
        max_pages: int | None = None,
        listing_seconds: float = LISTING_SECONDS,
    ) -> None:
        self._account = account
        self._page_size = page_size
        self._max_pages = max_pages
        self._listing_seconds = listing_seconds
        self._http = BoundedHttpClient(account.api_url, timeout, pool_size=8)
        client = Client(account.account_sid, account.auth_token, http_client=self._http)
        self._messages = client.messages

    def list_texts_to(self, to: PhoneNumber, since: datetime) -> list[ProviderText]:
        """List the texts to a number back to `since`, newest first. Raises LookupFailedError.

        There is no date filter on purpose: a text still queued has no date of sending and would be missed.
        That the newest come first is nowhere promised: reading ends early only when a whole page is older,
        and only while what was read did come in that order.
        """

        def ask() -> list[ProviderText]:
            found: list[ProviderText] = []
            for page in self._pages(MAX_PAGES_OF_NUMBER, to=to.e164):
                found += page
                if page and all(text.created_at < since for text in page) and _is_newest_first(found):
                    break
            recent = [text for text in found if text.created_at >= since]
            return sorted(recent, key=lambda text: text.created_at, reverse=True)

        return _asked(ask)

    def fetch(self, provider_message_id: str) -> ProviderText | None:
        """Return one text, or None if the provider does not have it. Raises LookupFailedError."""

        def ask() -> ProviderText | None:
            try:
                return _read_text(self._messages(provider_message_id).fetch())
            except (TwilioRestException, TwilioServiceException) as error:
                if error.status == 404:
                    return None
                raise

        return _asked(ask)

    def list_texts_in(self, since: datetime, until: datetime | None = None) -> list[ProviderText]:
        """List the texts for us since then (up to `until`), oldest first. Raises LookupFailedError.

        A messaging service has many numbers and no filter of its own: everything is listed, what we sent
        too, and what came in for another service, where one is named, is left out.
        """
        number = self._account.from_number if not self._account.messaging_service_sid else ""
        filters: dict[str, Any] = {"date_sent_after": since}
        if number:
            filters["to"] = number
        if until is not None:
            filters["date_sent_before"] = until

        def ask() -> list[ProviderText]:
            ends_at = time.monotonic() + self._listing_seconds
            found: list[ProviderText] = []
            for page in self._pages(MAX_PAGES_IN, ends_at, **filters):
                found += [text for text in page if self._is_for_us(text)]
            return sorted(found, key=lambda text: text.created_at)

        return _asked(ask)

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.session.close()

    def _is_for_us(self, text: ProviderText) -> bool:
        service = self._account.messaging_service_sid
        return text.direction == "inbound" and (not service or text.service_sid in (None, service))

    def _pages(
        self, max_pages: int, ends_at: float | None = None, **filters: Any
    ) -> Iterator[list[ProviderText]]:
        """Every page of a listing; raises when it has too many, or goes on past `ends_at` (monotonic)."""
        page = self._messages.page(page_size=self._page_size, **filters)
        for _ in range(self._max_pages or max_pages):
            yield [_read_text(message) for message in page]
            if page.next_page_url is None:
                return
            if ends_at is not None and time.monotonic() > ends_at:
                break
            page = _turned(page)
            if page is None:
                return
        raise _TooManyError


def _is_newest_first(texts: list[ProviderText]) -> bool:
    return all(earlier.created_at >= later.created_at for earlier, later in pairwise(texts))


def _turned(page: Any) -> Any:
    """The next page. Whatever goes wrong here is no refusal: the list is offered, as its first page shows."""
    try:
        return page.next_page()
    except Exception as error:
        kind = type(error).__name__
    raise _BrokenOffError(kind)


class _BrokenOffError(Exception):
    """The listing began and did not come to its end."""


class _TooManyError(Exception):
    """The listing does not end within the pages we read, so it is not complete."""


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:
        kind = str(error) if isinstance(error, ServerFaultError) else type(error).__name__.lstrip("_")
        is_refused, is_too_long = _is_refusal(error), isinstance(error, _TooManyError)
    # Raised out here so that it chains nothing: the library's errors carry the address, number included.
    why = f"the provider could not be asked ({kind})"
    raise LookupFailedError(why, is_refused=is_refused, is_too_long=is_too_long)


def _is_refusal(error: Exception) -> bool:
    """Whether the provider has no such list: no such address or method, or an answer that holds none.

    A wrong token, a busy provider or a page that is not JSON may be over in a minute, and hides what came in.
    """
    if isinstance(error, ServerFaultError):
        return error.status in _NOT_OFFERED
    if isinstance(error, TwilioRestException | TwilioServiceException):
        return error.status in _NOT_OFFERED
    if isinstance(error, TwilioException):  # what the library raises for a page
        response = error.args[1] if len(error.args) > 1 else None
        status = getattr(response, "status_code", None)
        return status is None or 200 < status < 300 or status in _NOT_OFFERED
    return False


def _read_text(message: Any) -> ProviderText:
    if message.date_created is None:
        raise ValueError("a text without its date")
    media = message.num_media
    return ProviderText(
        sid=message.sid,
        direction=message.direction,
        status=message.status,
        body=message.body or "",
        created_at=message.date_created,
        error_code=message.error_code,
        sender=message.from_ or "",
        recipient=message.to or "",
        service_sid=message.messaging_service_sid or None,
        media=int(media) if isinstance(media, str) and media.isdecimal() else 0,
    )
