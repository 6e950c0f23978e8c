"""The routes of the REST API: create, list, fetch, redact, delete; and what the account looks like."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.standin.account import ACCOUNT_SID, AUTH_TOKEN, NUMBER, SERVICE_SID, AccountSetup
from tests.standin.messages import MessageBook, StandinMessage
from tests.standin.wire import Reply, Request

__all__ = [
    "ACCOUNT_SID",
    "AUTH_TOKEN",
    "NUMBER",
    "SERVICE_SID",
    "RestApi",
    "error_reply",
    "is_create",
    "read_form",
]

_CREDENTIALS = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
_MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
_MESSAGE = re.compile(rf"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/(?P<sid>[^/]+)\.json")
_SENT = re.compile(r"DateSent([<>]?)")


class RestApi:
    """Answers requests out of a book of texts; `on_accept` hears of each text that was taken."""

    def __init__(
        self,
        book: MessageBook,
        opted_out: set[str],
        clock: Callable[[], datetime],
        on_accept: Callable[[StandinMessage], None],
        setup: AccountSetup,
    ) -> None:
        self._book = book
        self._opted_out = opted_out
        self._clock = clock
        self._on_accept = on_accept
        self._setup = setup

    def handle(self, request: Request) -> Reply:
        """Answer one request as Twilio would."""
        if request.headers.get("authorization") != _CREDENTIALS:
            return error_reply(401, 20003)
        path = request.target.partition("?")[0]
        if path == _MESSAGES:
            return self._create(read_form(request)) if request.method == "POST" else self._list(request)
        route = _MESSAGE.fullmatch(path)
        if route is None:
            shown = self._setup.find(request.target) if request.method == "GET" else None
            return error_reply(404, 20404) if shown is None else _json(200, shown)
        message = self._book.find(route["sid"])
        if message is None:
            return error_reply(404, 20404)
        return self._change(request.method, message, read_form(request))

    def _create(self, form: dict[str, str]) -> Reply:
        code = self._find_refusal(form)
        if code is not None:
            # The real one names the number in its messages, so that a leak of ours would show.
            return error_reply(400, code, f"The 'To' number {form.get('To')} is refused: {form.get('Body')}")
        service = form.get("MessagingServiceSid")
        message = StandinMessage(
            direction="outbound-api",
            to=form["To"],
            sender=form.get("From", NUMBER),
            body=form["Body"],
            status="accepted" if service else "queued",
            created_at=self._clock(),
            callback=form.get("StatusCallback"),
            service_sid=service,
        )
        validity = form.get("ValidityPeriod")
        self._book.accept(message, int(validity) if validity else None)
        shown = _json(201, message.as_json(ACCOUNT_SID))
        # Told before the answer is on its way: the receipts of the real provider may overtake it too.
        self._on_accept(message)
        return shown

    def _find_refusal(self, form: dict[str, str]) -> int | None:
        checks = (
            (21604, not form.get("To")),
            (21603, not form.get("From") and not form.get("MessagingServiceSid")),
            (21602, not form.get("Body")),
            (21617, len(form.get("Body", "")) > 1600),
            (21211, re.fullmatch(r"\+[1-9]\d{6,14}", form.get("To", "")) is None),
            (21610, form.get("To") in self._opted_out),
        )
        return next((code for code, applies in checks if applies), None)

    def _list(self, request: Request) -> Reply:
        split = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        found = self._book.newest_first(query.get("To"), query.get("From"))
        # Texts that come meanwhile must not shift the pages: the next one begins after a text, not a number.
        if token := query.get("PageToken"):
            found = islice(dropwhile(lambda message: message.sid != token, found), 1, None)
        wanted = (message for message in found if _was_sent_when(message, query))
        messages = list(islice(wanted, size + 1))
        following = None
        if len(messages) > size:
            following = f"{split.path}?" + urlencode(
                query | {"Page": page + 1, "PageToken": messages[size - 1].sid}
            )
        shown = [message.as_json(ACCOUNT_SID) for message in messages[:size]]
        return _json(
            200,
            {
                "messages": shown,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(0, len(shown) - 1),
                "first_page_uri": split.path,
                "next_page_uri": following,
                "previous_page_uri": None,
                "uri": request.target,
            },
        )

    def _change(self, method: str, message: StandinMessage, form: dict[str, str]) -> Reply:
        if method == "DELETE":
            self._book.remove(message.sid)
            return Reply(204)
        if method == "POST":
            if form.get("Body") != "":
                return error_reply(400, 20001)
            message.body = ""
        return _json(200, message.as_json(ACCOUNT_SID))


def is_create(request: Request) -> bool:
    """Whether the request asks for a new text."""
    return request.method == "POST" and request.target.partition("?")[0] == _MESSAGES


def read_form(request: Request) -> dict[str, str]:
    """The fields of a request's form."""
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def _was_sent_when(message: StandinMessage, query: dict[str, str]) -> bool:
    """The DateSent filters: a day or an instant, both in UTC. What was not sent yet passes none of them."""
    for name, value in query.items():
        if (asked := _SENT.fullmatch(name)) is None:
            continue
        if message.sent_at is None:
            return False
        is_day = len(value) == len("2026-01-01")
        limit = datetime.fromisoformat(value)
        limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        sent_at = message.sent_at.replace(microsecond=0)
        through = limit + timedelta(days=1, seconds=-1) if is_day else limit
        passes = {"<": sent_at <= through, ">": sent_at >= limit, "": limit <= sent_at <= through}
        if not passes[asked[1]]:
            return False
    return True


def _json(status: int, content: dict[str, object]) -> Reply:
    return Reply(status, json.dumps(content).encode())


def error_reply(status: int, code: int | None, message: str = "refused by the stand-in") -> Reply:
    """Refuse, with a code or without."""
    content: dict[str, object] = {"message": message, "status": status}
    if code is not None:
        content |= {"code": code, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return _json(status, content)
