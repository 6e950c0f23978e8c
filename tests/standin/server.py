"""The stand-in itself: routes of the REST API, faults, receipts, inbound texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from threading import Condition, Event
from typing import Self
from urllib.parse import urljoin

from service.gateways.sms.simulator import PostForm
from tests.standin.account import AccountSetup
from tests.standin.faults import NO_FAULT, Fault, FaultPlan, On
from tests.standin.ledger import CreateRequest, PhoneText
from tests.standin.messages import (
    AcceptedText,
    MessageBook,
    StandinMessage,
    new_sid,
    reference_of,
)
from tests.standin.receipts import NOTHING_WRONG, ReceiptChances, ReceiptFate
from tests.standin.rest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    SERVICE_SID,
    RestApi,
    error_reply,
    is_create,
    read_form,
)
from tests.standin.timer import Timer
from tests.standin.webhooks import InboundAnswer, PooledPoster, ReceiptOrder, WebhookSender
from tests.standin.wire import DropConnectionError, LoopbackServer, Reply, Request


def _now() -> datetime:
    return datetime.now(UTC)


class TwilioStandin:
    """Twilio on loopback, as a context manager. Everything here is safe to use from any thread.

    `reroute` is (public base URL, real base URL) of the service under test. `post` replaces HTTP for what
    goes to the service, for example by a web framework's test client. With `auto_receipts` every accepted
    text and reply is told as sent and delivered in the background, or what `receipts_by_chance` says. With
    `keeps_requests` every request to send is kept, taken or not (`requests`). `setup` is the account as the
    API shows it, for tests to change. Leaving raises what broke inside.
    """

    def __init__(
        self,
        *,
        auto_receipts: bool = False,
        reroute: tuple[str, str] | None = None,
        post: PostForm | None = None,
        clock: Callable[[], datetime] = _now,
        receipt_threads: int = 2,
        keeps_requests: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.account_sid = ACCOUNT_SID
        self.auth_token = AUTH_TOKEN
        self.service_sid = SERVICE_SID
        self.number = NUMBER
        self.auto_receipts = auto_receipts
        self.opted_out: set[str] = set()
        self.creates = 0
        self.lost_receipts = 0
        self.setup = AccountSetup()
        self._requests: list[CreateRequest] | None = [] if keeps_requests else None
        self._chances, self._random = NOTHING_WRONG, Random(0)
        self._timer = Timer()
        self._clock = clock
        self._book = MessageBook(clock)
        self._faults = FaultPlan()
        self._poster = PooledPoster()
        self._webhooks = WebhookSender(ACCOUNT_SID, AUTH_TOKEN, post or self._poster, reroute)
        self._receipts = ThreadPoolExecutor(receipt_threads, thread_name_prefix="standin-receipts")
        self._changed = Condition()
        self._open_receipts = 0
        self._stopped = Event()
        self._api = RestApi(self._book, self.opted_out, clock, self._tell, self.setup)
        self._server = LoopbackServer(self._answer, host, port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._timer.stop()
        self._receipts.shutdown(wait=True, cancel_futures=True)
        self._poster.close()
        self._server.stop()

    @property
    def url(self) -> str:
        """The value for TWILIO_API_URL."""
        return self._server.url

    @property
    def accepted(self) -> list[AcceptedText]:
        """Every text taken through the API, in order: to, body, sid, reference, at, validity_seconds."""
        return self._book.accepted

    @property
    def taken(self) -> int:
        """How many texts were taken through the API."""
        return self._book.taken

    @property
    def requests(self) -> list[CreateRequest]:
        """Every request to send, in order of arrival, if they are kept."""
        with self._changed:
            return list(self._requests or [])

    @property
    def phone_texts(self) -> list[PhoneText]:
        """Every text that phones were sent, replies included, with what became of it; oldest first."""
        found = [m for m in self._book.newest_first() if m.direction.startswith("outbound")]
        return [PhoneText.of(message) for message in reversed(found)]

    def texts_to(self, number: str) -> list[str]:
        """List the bodies a person would have received, API texts and replies, oldest first."""
        found = [m.body for m in self._book.newest_first(to=number) if m.direction.startswith("outbound")]
        return found[::-1]

    def script(self, *faults: Fault | None, on: On = On.CREATE) -> None:
        """Let the next requests meet these faults, one each; None is one without a fault."""
        self._faults.script(on, faults)

    def by_chance(self, odds: Mapping[Fault, float], *, seed: int, on: On = On.CREATE) -> None:
        """From now on let each request meet a fault with these probabilities; {} ends it."""
        self._faults.chance(on, odds, seed)

    def receipts_by_chance(self, chances: ReceiptChances, *, seed: int) -> None:
        """From now on draw what automatic receipts tell, and when."""
        with self._changed:
            self._chances, self._random = chances, Random(seed)

    def deliver(
        self,
        sid: str,
        statuses: tuple[str, ...] = ("sent", "delivered"),
        error_code: int | None = None,
        *,
        doubled: bool = False,
        reordered: bool = False,
        delay: float = 0.0,
    ) -> list[int]:
        """Move a text to its last status and post its receipts; return the service's HTTP statuses.

        Raises KeyError for an unknown sid and OSError when the service does not answer.
        """
        message = self._book.find(sid)
        if message is None:
            raise KeyError("no such text")
        for status in statuses:
            self._book.move(message, status, error_code if status in {"failed", "undelivered"} else None)
        order = ReceiptOrder(statuses, error_code, doubled, reordered, delay)
        return self._webhooks.post_receipts(message, order)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every automatic receipt has been posted; False if some have not."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open_receipts == 0, timeout)

    def record_inbound(
        self, from_: str, body: str, sid: str | None = None, *, at: datetime | None = None
    ) -> str:
        """Know of a text that never reached the service, sent `at` (now); return its sid."""
        at = at or self._clock()
        message = StandinMessage("inbound", self.number, from_, body, "received", at, sid=sid or new_sid())
        message.sent_at = message.final_at = at
        self._book.keep(message)
        return message.sid

    def text_in(
        self,
        webhook_url: str,
        from_: str,
        body: str,
        signed_url: str | None = None,
        *,
        is_answer_lost: bool = False,
        **fields: str,
    ) -> InboundAnswer:
        """Post a signed inbound text; extra `fields` win (MessageSid=... makes it a retry, OptOutType=...).

        The replies are remembered as outbound-reply texts, unless the answer got lost on its way.
        Raises OSError without an answer and CarrierError when a 2xx is not valid TwiML.
        """
        sid = self.record_inbound(from_, body, fields.get("MessageSid"))
        message = StandinMessage("inbound", self.number, from_, body, "received", self._clock(), sid=sid)
        signed = signed_url or webhook_url
        answer, texts = self._webhooks.post_text(webhook_url, signed, message, fields)
        if is_answer_lost:
            texts = []
        replies = [self._reply(from_, text.body, text.status_callback, signed) for text in texts]
        return InboundAnswer(
            answer.status, [r.body for r in replies], answer.content.decode(), [r.sid for r in replies]
        )

    def _reply(self, to: str, body: str, callback: str | None, base: str) -> StandinMessage:
        message = StandinMessage("outbound-reply", to, self.number, body, "queued", self._clock())
        message.callback = urljoin(base, callback) if callback else None
        self._book.keep(message)
        self._tell(message)
        return message

    def _tell(self, message: StandinMessage) -> None:
        if not (self.auto_receipts and message.callback):
            return
        with self._changed:
            self._open_receipts += 1
            fate = self._chances.draw(self._random)
        self._timer.call_in(
            fate.delay, lambda: self._receipts.submit(self._tell_in_background, message, fate)
        )

    def _tell_in_background(self, message: StandinMessage, fate: ReceiptFate) -> None:
        lost = 0
        try:
            for status in fate.statuses:
                is_bad = status in {"failed", "undelivered"}
                self._book.move(message, status, fate.error_code if is_bad else None)
            order = ReceiptOrder(fate.told, fate.error_code)
            lost = sum(not 200 <= code < 300 for code in self._webhooks.post_receipts(message, order))
        except OSError:
            lost = 1
        finally:
            with self._changed:
                self.lost_receipts += lost
                self._open_receipts -= 1
                self._changed.notify_all()

    def _answer(self, request: Request) -> Reply:
        creates = is_create(request)
        fault = self._faults.next(On.CREATE if creates else On.LOOKUP) or NO_FAULT
        if creates:
            with self._changed:
                self.creates += 1
                if self._requests is not None:
                    self._requests.append(_note(request, fault, self._clock().timestamp()))
        if fault is NO_FAULT:
            return self._api.handle(request)
        self._stopped.wait(fault.wait_before)
        reply = self._api.handle(request) if fault.accepts else Reply(500)
        self._stopped.wait(fault.wait_after)
        if fault.resets:
            raise DropConnectionError
        if fault.http_status is None:
            return reply
        if fault.raw is not None:
            return Reply(fault.http_status, fault.raw, "text/html")
        return error_reply(fault.http_status, fault.code)


def _note(request: Request, fault: Fault, at: float) -> CreateRequest:
    form = read_form(request)
    reference = reference_of(form.get("StatusCallback"))
    return CreateRequest(at, form.get("To", ""), reference, fault.name, request.peer)
