"""A provider that is not there: takes texts for fictional numbers, sends real signed receipts and texts.

Everything it tells the service goes by POST to the public URL, signed, as the provider would do it, so
that a demo runs the same code as the real thing. It never calls anything but the service itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Final
from urllib.parse import urljoin
from xml.etree import ElementTree

import requests

from service.domain.phone import PhoneNumber, is_fictional
from service.domain.provider_answers import AnswerClass
from service.domain.twiml import TwimlText
from service.gateways.sms.protocol import Accepted, OutgoingSms, Rejected, SendOutcome
from service.gateways.sms.signature import SIGNATURE_HEADER, sign

SIMULATED_ACCOUNT_SID: Final = "AC" + "0" * 32
SIMULATED_NUMBER: Final = "+12025550100"
NOT_A_NUMBER: Final = 21211

_HAPPY_WAY = ("sent", "delivered")
_MAX_REPLIES = 10
_MAX_BODY = 1600
_MESSAGE_ATTRIBUTES = frozenset({"to", "from", "action", "method", "statusCallback"})
_TIMEOUT_SECONDS = 15.0


class CarrierError(Exception):
    """A text could not be passed on, or its answer is nothing the provider would understand."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a web request brought back."""

    status: int
    content_type: str
    content: bytes


PostForm = Callable[[str, Mapping[str, str], Mapping[str, str]], WebAnswer]
"""Posts a form (URL, fields, headers); raises OSError when there is no answer."""


def post_form(url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
    """Post a form over HTTP, ignoring proxies and redirects. Raises OSError."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            url, data=fields, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
        return WebAnswer(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)


class SimulatorTransport:
    """Accepts texts for fictional numbers and posts their receipts from a thread of its own.

    Close it when done; what is still queued when the process ends is lost, as the provider's receipts may be.
    """

    name = "simulator"

    def __init__(
        self,
        public_url: str,
        token: str,
        post: PostForm = post_form,
        *,
        account_sid: str = SIMULATED_ACCOUNT_SID,
        from_number: str = SIMULATED_NUMBER,
    ) -> None:
        self._wire = _Wire(public_url, token, account_sid, from_number, post)
        self._queue: SimpleQueue[tuple[str, str, str] | None] = SimpleQueue()
        self._changed = Condition()
        self._waiting = 0
        self._thread: Thread | None = None

    @property
    def lost_receipts(self) -> int:
        """How many receipts the service did not take."""
        return self._wire.lost_receipts

    def send(self, sms: OutgoingSms) -> SendOutcome:
        """Accept a text for a fictional number; refuse any other as the provider refuses a bad number."""
        if not is_fictional(sms.to):
            return Rejected(AnswerClass.PERMANENT, NOT_A_NUMBER, 400)
        sid = _new_sid("SM")
        with self._changed:
            self._waiting += 1
            if self._thread is None:
                self._thread = Thread(target=self._post_queued, name="simulated-receipts", daemon=True)
                self._thread.start()
            self._queue.put((sms.status_callback, sms.to.e164, sid))
        return Accepted(sid, segments=1)

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until every receipt has been posted; False if some have not."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting == 0, timeout)

    def close(self) -> None:
        """Post what is queued, then stop the thread."""
        with self._changed:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _post_queued(self) -> None:
        while (receipt := self._queue.get()) is not None:
            self._wire.post_receipts(*receipt)
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()


class SimulatedCarrier:
    """A person's phone, as the provider passes its texts to the service. Safe to share between threads."""

    def __init__(
        self,
        public_url: str,
        token: str,
        account_sid: str = SIMULATED_ACCOUNT_SID,
        to_number: str = SIMULATED_NUMBER,
        post: PostForm = post_form,
    ) -> None:
        self._wire = _Wire(public_url, token, account_sid, to_number, post)
        self._inbound_url = public_url.rstrip("/") + "/twilio/inbound"

    @property
    def lost_receipts(self) -> int:
        """How many receipts the service did not take."""
        return self._wire.lost_receipts

    def text_in(self, sender: PhoneNumber, body: str, *, media: int = 0) -> list[str]:
        """Pass on a text with `media` pictures and return the replies, whose receipts have then been posted.

        Raises CarrierError in one line, without what was texted, when the number is not fictional, the
        service does not answer, or its answer is not valid TwiML.
        """
        if not is_fictional(sender):
            raise CarrierError("the simulated phone has fictional numbers only (555-0100 to 555-0199)")
        if len(body) > _MAX_BODY:
            raise CarrierError(f"a text has at most {_MAX_BODY} characters")
        try:
            answer = self._wire.post(self._inbound_url, self._fields(sender, body, media))
        except (OSError, UnicodeError) as error:
            raise CarrierError(f"the service did not answer ({type(error).__name__})") from None
        replies = parse_twiml(answer)
        for reply in replies:
            if reply.status_callback is not None:
                callback = urljoin(self._inbound_url, reply.status_callback)
                self._wire.post_receipts(callback, sender.e164, _new_sid("SM"))
        return [reply.body for reply in replies]

    def _fields(self, sender: PhoneNumber, body: str, media: int) -> dict[str, str]:
        sid = _new_sid("MM" if media else "SM")
        places = {
            f"{end}{part}": value
            for end in ("From", "To")
            for part, value in (("City", ""), ("State", "DC"), ("Zip", ""), ("Country", "US"))
        }
        pictures = {}
        for index in range(media):
            pictures[f"MediaUrl{index}"] = f"https://media.invalid/{sid}/{index}"
            pictures[f"MediaContentType{index}"] = "image/jpeg"
        return {
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "SmsStatus": "received",
            "From": sender.e164,
            "To": self._wire.number,
            "Body": body,
            "NumMedia": str(media),
            "NumSegments": str(max(1, -(-len(body) // 153))),
            **places,
            **pictures,
        }


def parse_twiml(answer: WebAnswer) -> list[TwimlText]:
    """Read the texts of a TwiML answer as strictly as we may: only `<Message>`, at most ten, none empty.

    Raises CarrierError. `text/plain` is refused above all: the provider would text it to the person.
    """
    if not 200 <= answer.status < 300:
        raise CarrierError(f"the service answered HTTP {answer.status}")
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind not in {"text/xml", "application/xml"}:
        raise CarrierError(f"the answer is {kind or 'of no type'}, not text/xml")
    try:
        root = ElementTree.fromstring(answer.content)  # noqa: S314  our own service wrote it
    except ElementTree.ParseError:
        raise CarrierError("the answer is not well-formed XML") from None
    if root.tag != "Response" or root.attrib or _is_text(root.text):
        raise CarrierError("the answer is not one <Response>")
    if len(root) > _MAX_REPLIES:
        raise CarrierError(f"the answer has more than {_MAX_REPLIES} messages")
    return [_read_message(element) for element in root]


def _read_message(element: ElementTree.Element) -> TwimlText:
    if element.tag != "Message" or _is_text(element.tail):
        raise CarrierError("the <Response> holds something that is not a <Message>")
    if not _MESSAGE_ATTRIBUTES.issuperset(element.attrib):
        raise CarrierError("a <Message> has an attribute that the provider does not know")
    text = element.text or ""
    if len(element) or not _is_text(text) or len(text) > _MAX_BODY:
        raise CarrierError(f"a <Message> is not a text of 1 to {_MAX_BODY} characters")
    return TwimlText(text, element.get("statusCallback"))


def _is_text(text: str | None) -> bool:
    return bool(text and text.strip())


def _new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


class _Wire:
    """The simulated account's end of the line: signs, posts, and counts the receipts nobody took."""

    def __init__(self, public_url: str, token: str, account_sid: str, number: str, post: PostForm) -> None:
        self._base = public_url.rstrip("/") + "/"
        self._token = token
        self._account_sid = account_sid
        self._post = post
        self.number = number
        self.lost_receipts = 0

    def post(self, url: str, fields: Mapping[str, str]) -> WebAnswer:
        """Post signed fields; raises OSError without an answer, and for an address that is not ours."""
        if not url.startswith(self._base):
            raise OSError("the simulated provider calls nothing but the service")
        form = {"AccountSid": self._account_sid, "ApiVersion": "2010-04-01", **fields}
        return self._post(url, form, {SIGNATURE_HEADER: sign(url, form, self._token)})

    def post_receipts(self, callback: str, to: str, sid: str) -> None:
        """Tell that a text was sent and delivered; a receipt without a 2xx is lost."""
        for status in _HAPPY_WAY:
            fields = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "SmsStatus": status}
            try:
                answer = self.post(callback, fields | {"To": to, "From": self.number})
            except Exception:  # a receipt may always get lost; the thread that posts them must not
                self.lost_receipts += 1
            else:
                self.lost_receipts += not 200 <= answer.status < 300
