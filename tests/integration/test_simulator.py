"""The simulated provider: fictional numbers only, real signed webhooks, strict about our answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event

import pytest

from service.domain.phone import PhoneNumber
from service.domain.provider_answers import AnswerClass
from service.domain.twiml import TwimlText, build_twiml
from service.gateways.sms.protocol import Accepted, OutgoingSms, Rejected, Unknown
from service.gateways.sms.recording import RecordingTransport
from service.gateways.sms.simulator import (
    SIMULATED_NUMBER,
    CarrierError,
    SimulatedCarrier,
    SimulatorTransport,
    WebAnswer,
    parse_twiml,
)
from tests.standin.receiver import WebhookReceiver, twiml
from tests.standin.wire import Reply

TOKEN = "simulator-token"
PHONE = PhoneNumber("+12025550123")


@pytest.fixture
def service() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(TOKEN) as running:
        yield running


@pytest.fixture
def transport(service: WebhookReceiver) -> Iterator[SimulatorTransport]:
    transport = SimulatorTransport(service.url, TOKEN)
    yield transport
    transport.close()


def sms(callback: str, to: PhoneNumber = PHONE) -> OutgoingSms:
    return OutgoingSms(to, "hello", "r1", callback)


def test_a_fictional_number_gets_its_text_and_we_its_receipts(
    service: WebhookReceiver, transport: SimulatorTransport
) -> None:
    outcome = transport.send(sms(f"{service.url}/twilio/status?ref=r1"))
    assert isinstance(outcome, Accepted)
    assert transport.flush(5)
    assert service.statuses() == ["sent", "delivered"]
    for webhook in service.webhooks:
        assert webhook.is_signed
        assert webhook.target == "/twilio/status?ref=r1"
        assert webhook.form["MessageSid"] == webhook.form["SmsSid"] == outcome.provider_message_id
        assert webhook.form["MessageStatus"] == webhook.form["SmsStatus"]
        assert (webhook.form["To"], webhook.form["From"]) == (PHONE.e164, SIMULATED_NUMBER)
        assert webhook.form["ApiVersion"] == "2010-04-01"
        assert webhook.form["AccountSid"].startswith("AC")
    assert transport.lost_receipts == 0


@pytest.mark.parametrize("number", ["+1202" + "5560123", "+1202" + "5550200", "+44" + "7700900123"])
def test_any_other_number_is_refused(
    service: WebhookReceiver, transport: SimulatorTransport, number: str
) -> None:
    outcome = transport.send(sms(f"{service.url}/twilio/status?ref=r1", PhoneNumber(number)))
    assert outcome == Rejected(AnswerClass.PERMANENT, 21211, 400)
    assert transport.flush(5)
    assert service.webhooks == []


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ("{url}/status?ref=1", "the service answers 503"),
        ("nonsense", "not an address"),
    ],
)
def test_receipts_that_nobody_takes_are_counted_and_forgotten(
    service: WebhookReceiver, transport: SimulatorTransport, callback: str, reason: str
) -> None:
    service.answer = Reply(503)
    assert isinstance(transport.send(sms(callback.format(url=service.url))), Accepted)
    assert transport.flush(5)
    assert transport.lost_receipts == 2, reason
    service.answer = Reply(204)
    transport.send(sms(f"{service.url}/status?ref=2"))
    assert transport.flush(5)
    assert service.statuses()[-2:] == ["sent", "delivered"], "the next text is told as usual"


def test_an_address_that_is_not_the_service_is_never_called(transport: SimulatorTransport) -> None:
    with WebhookReceiver(TOKEN) as somebody_else:
        transport.send(sms(f"{somebody_else.url}/status?ref=1"))
        assert transport.flush(5)
        assert somebody_else.webhooks == []
    assert transport.lost_receipts == 2


def test_a_dead_service_loses_receipts_and_nothing_else() -> None:
    transport = SimulatorTransport("http://127.0.0.1:1", TOKEN)
    assert isinstance(transport.send(sms("http://127.0.0.1:1/status")), Accepted)
    assert transport.flush(5)
    transport.close()
    assert transport.lost_receipts == 2


def test_closing_posts_what_is_queued_and_sending_may_go_on(
    service: WebhookReceiver, transport: SimulatorTransport
) -> None:
    for _ in range(10):
        transport.send(sms(f"{service.url}/status?ref=1"))
    transport.close()
    assert len(service.webhooks) == 20
    transport.send(sms(f"{service.url}/status?ref=1"))
    assert transport.flush(5)
    assert len(service.webhooks) == 22


def test_a_flush_that_runs_out_of_time_says_so() -> None:
    gate = Event()

    def slow_service(url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
        gate.wait(5)
        return WebAnswer(204, "", b"")

    transport = SimulatorTransport("http://127.0.0.1:8000", TOKEN, slow_service)
    transport.send(sms("http://127.0.0.1:8000/status?ref=1"))
    assert not transport.flush(0.05)
    gate.set()
    assert transport.flush(5)
    transport.close()


def test_a_person_texts_and_reads_the_replies(service: WebhookReceiver) -> None:
    carrier = SimulatedCarrier(service.url, TOKEN)
    xml = build_twiml([TwimlText("Línea <1> & more", f"{service.url}/status?ref=a&x=1"), TwimlText("Two")])
    service.answer = Reply(200, xml.encode(), "text/xml; charset=utf-8")
    assert carrier.text_in(PHONE, "hello ") == ["Línea <1> & more", "Two"]
    inbound, sent, delivered = service.webhooks
    assert inbound.is_signed
    assert inbound.target == "/twilio/inbound"
    assert inbound.form["Body"] == "hello "
    assert inbound.form["From"] == PHONE.e164
    assert inbound.form["MessageSid"] == inbound.form["SmsSid"] == inbound.form["SmsMessageSid"]
    assert inbound.form["FromCity"] == ""
    assert (inbound.form["NumMedia"], inbound.form["SmsStatus"]) == ("0", "received")
    assert [sent.target, delivered.target] == ["/status?ref=a&x=1"] * 2, "no receipts for the second reply"
    assert sent.form["MessageSid"] == delivered.form["MessageSid"] != inbound.form["MessageSid"]
    assert sent.is_signed
    assert service.statuses() == ["sent", "delivered"]


def test_every_text_is_a_new_one(service: WebhookReceiver) -> None:
    carrier = SimulatedCarrier(service.url, TOKEN)
    service.answer = twiml("")
    assert carrier.text_in(PHONE, "hi") == carrier.text_in(PHONE, "hi") == []
    first, second = service.webhooks
    assert first.form["MessageSid"] != second.form["MessageSid"]


def test_a_picture_has_its_fields_and_may_come_without_words(service: WebhookReceiver) -> None:
    service.answer = twiml("")
    SimulatedCarrier(service.url, TOKEN).text_in(PHONE, "", media=2)
    form = service.webhooks[0].form
    assert (form["Body"], form["NumMedia"]) == ("", "2")
    assert form["MediaContentType1"] == "image/jpeg"
    assert {"MediaUrl0", "MediaUrl1"} <= set(form)
    assert "MediaUrl2" not in form


def test_a_relative_receipt_address_is_resolved(service: WebhookReceiver) -> None:
    service.answer = twiml('<Message statusCallback="/twilio/status?ref=z">hi</Message>')
    SimulatedCarrier(service.url, TOKEN).text_in(PHONE, "hi")
    assert [webhook.target for webhook in service.webhooks[1:]] == ["/twilio/status?ref=z"] * 2


def test_receipts_of_replies_are_lost_quietly(service: WebhookReceiver) -> None:
    service.answer = twiml('<Message statusCallback="http://elsewhere.invalid/status">hi</Message>')
    carrier = SimulatedCarrier(service.url, TOKEN)
    assert carrier.text_in(PHONE, "hi") == ["hi"]
    assert carrier.lost_receipts == 2


@pytest.mark.parametrize(
    ("status", "kind", "xml", "message"),
    [
        (503, "text/xml", "<Response/>", "the service answered HTTP 503"),
        (302, "text/xml", "<Response/>", "the service answered HTTP 302"),
        (200, "text/plain", "<Response/>", "the answer is text/plain, not text/xml"),
        (200, "text/html; charset=utf-8", "<Response/>", "the answer is text/html, not text/xml"),
        (200, "", "<Response/>", "the answer is of no type, not text/xml"),
        (200, "text/xml", "", "the answer is not well-formed XML"),
        (
            200,
            "text/xml",
            "<Response><Message>a & b</Message></Response>",
            "the answer is not well-formed XML",
        ),
        (200, "text/xml", "<html/>", "the answer is not one <Response>"),
        (200, "text/xml", "<Response>hello</Response>", "the answer is not one <Response>"),
        (200, "text/xml", "<Response><Redirect>/</Redirect></Response>", "not a <Message>"),
        (200, "text/xml", "<Response><Message>a</Message>b</Response>", "not a <Message>"),
        (200, "text/xml", "<Response><Message> </Message></Response>", "not a text of 1 to 1600"),
        (200, "text/xml", "<Response><Message><b>a</b></Message></Response>", "not a text of 1 to 1600"),
        (200, "text/xml", f"<Response><Message>{'x' * 1601}</Message></Response>", "not a text of 1 to 1600"),
        (200, "text/xml", '<Response><Message status="a">a</Message></Response>', "does not know"),
        (200, "text/xml", f"<Response>{'<Message>a</Message>' * 11}</Response>", "more than 10 messages"),
    ],
)
def test_an_answer_that_is_not_valid_twiml_is_an_error_in_one_line(
    status: int, kind: str, xml: str, message: str
) -> None:
    with pytest.raises(CarrierError) as failure:
        parse_twiml(WebAnswer(status, kind, xml.encode()))
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)


def test_the_strict_reader_accepts_what_we_build() -> None:
    texts = [
        TwimlText(f"text {number}: á\n<>&\"'", f"https://example.com/?ref={number}") for number in range(10)
    ]
    assert parse_twiml(WebAnswer(200, "application/xml", build_twiml(texts).encode())) == texts
    assert parse_twiml(WebAnswer(200, "text/xml", build_twiml([]).encode())) == []


@pytest.mark.parametrize(
    ("sender", "body", "message"),
    [
        (PhoneNumber("+1202" + "5560123"), "hi", "fictional numbers only"),
        (PHONE, "x" * 1601, "at most 1600 characters"),
        (PHONE, "\ud83d", r"did not answer \(UnicodeEncodeError\)"),
    ],
)
def test_an_impossible_text_is_not_passed_on(
    service: WebhookReceiver, sender: PhoneNumber, body: str, message: str
) -> None:
    with pytest.raises(CarrierError, match=message):
        SimulatedCarrier(service.url, TOKEN).text_in(sender, body)
    assert service.webhooks == []


def test_a_dead_service_is_an_error_without_what_was_texted() -> None:
    with pytest.raises(CarrierError, match=r"^the service did not answer \(ConnectionError\)$"):
        SimulatedCarrier("http://127.0.0.1:1", TOKEN).text_in(PHONE, "hi")


def test_a_recording_transport_keeps_every_try_and_answers_as_told() -> None:
    recording = RecordingTransport(Unknown("ReadTimeout"))
    recording.script(Rejected(AnswerClass.RETRY, None, 429))
    texts = [sms(f"https://example.com/?ref={number}") for number in range(4)]
    outcomes = [recording.send(text) for text in texts]
    assert recording.sent == texts
    assert outcomes[:2] == [Unknown("ReadTimeout"), Rejected(AnswerClass.RETRY, None, 429)]
    assert outcomes[2] != outcomes[3]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes[2:])
