"""The stand-in behaves as the provider's documents say, so that what passes against it means something."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

import pytest
import requests

from service.gateways.sms.simulator import CarrierError
from tests.standin import On, TwilioStandin, reset_before, slow, status
from tests.standin.receiver import WebhookReceiver, twiml
from tests.standin.wire import Reply

TO = "+12025550123"


@pytest.fixture
def standin() -> Iterator[TwilioStandin]:
    with TwilioStandin() as running:
        yield running


@pytest.fixture
def service(standin: TwilioStandin) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(standin.auth_token) as running:
        yield running


@pytest.fixture
def session(standin: TwilioStandin) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.auth = (standin.account_sid, standin.auth_token)
        yield session


def messages_url(standin: TwilioStandin, rest: str = "") -> str:
    return f"{standin.url}/2010-04-01/Accounts/{standin.account_sid}/Messages{rest}.json"


def create(session: requests.Session, standin: TwilioStandin, **fields: str) -> requests.Response:
    form = {"To": TO, "MessagingServiceSid": standin.service_sid, "Body": "hello"} | fields
    return session.post(messages_url(standin), data={k: v for k, v in form.items() if v}, timeout=5)


def test_a_service_accepts_first_and_counts_later(session: requests.Session, standin: TwilioStandin) -> None:
    answer = create(session, standin)
    shown = answer.json()
    assert answer.status_code == 201
    assert (shown["status"], shown["num_segments"], shown["from"]) == ("accepted", "0", None)
    assert shown["direction"] == "outbound-api"
    assert shown["date_sent"] is None


def test_a_number_queues_at_once(session: requests.Session, standin: TwilioStandin) -> None:
    shown = create(session, standin, MessagingServiceSid="", From=standin.number).json()
    assert (shown["status"], shown["num_segments"], shown["from"]) == ("queued", "1", standin.number)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"MessagingServiceSid": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"To": "5550123"}, 21211),
        ({"To": "+12025550199"}, 21610),
    ],
)
def test_a_wrong_request_is_refused_with_its_code(
    session: requests.Session, standin: TwilioStandin, fields: dict[str, str], code: int
) -> None:
    standin.opted_out.add("+12025550199")
    answer = create(session, standin, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert standin.accepted == []


def test_strangers_and_wrong_addresses_are_refused(session: requests.Session, standin: TwilioStandin) -> None:
    stranger = requests.post(messages_url(standin), auth=("AC1", "x"), data={"To": TO}, timeout=5)
    assert (stranger.status_code, stranger.json()["code"]) == (401, 20003)
    for path in ("/2010-04-01/Accounts/AC1/Messages.json", "/elsewhere"):
        assert session.get(standin.url + path, timeout=5).status_code == 404


def test_listing_pages_newest_first_and_filters_by_number(
    session: requests.Session, standin: TwilioStandin
) -> None:
    for number in range(3):
        create(session, standin, Body=f"text {number}")
    create(session, standin, To="+12025550124")
    standin.record_inbound(TO, "from outside")
    query = urlencode({"To": TO, "PageSize": 2})
    first = session.get(f"{messages_url(standin)}?{query}", timeout=5).json()
    second = session.get(standin.url + first["next_page_uri"], timeout=5).json()
    assert [text["body"] for text in first["messages"]] == ["text 2", "text 1"]
    assert [text["body"] for text in second["messages"]] == ["text 0"]
    assert second["next_page_uri"] is None
    by_sender = session.get(f"{messages_url(standin)}?{urlencode({'From': TO})}", timeout=5).json()
    assert [text["body"] for text in by_sender["messages"]] == ["from outside"]


def test_a_text_is_redacted_and_then_deleted(session: requests.Session, standin: TwilioStandin) -> None:
    sid = create(session, standin).json()["sid"]
    url = messages_url(standin, f"/{sid}")
    assert session.post(url, data={"Body": "other words"}, timeout=5).status_code == 400
    assert session.post(url, data={"Body": ""}, timeout=5).json()["body"] == ""
    assert session.get(url, timeout=5).json()["body"] == ""
    assert session.delete(url, timeout=5).status_code == 204
    assert session.get(url, timeout=5).status_code == 404
    assert standin.accepted[0]["body"] == "hello", "what was sent stays known to the test"


def test_chance_is_the_same_for_the_same_seed(session: requests.Session, standin: TwilioStandin) -> None:
    def run() -> list[int]:
        standin.by_chance({status(500): 0.3, status(429, 20429): 0.2}, seed=7)
        return [create(session, standin).status_code for _ in range(60)]

    first = run()
    assert first == run()
    assert set(first) == {201, 429, 500}
    standin.by_chance({}, seed=7)
    assert {create(session, standin).status_code for _ in range(20)} == {201}


def test_faults_of_lookups_leave_sending_alone(session: requests.Session, standin: TwilioStandin) -> None:
    standin.script(status(503), on=On.LOOKUP)
    assert create(session, standin).status_code == 201
    assert session.get(messages_url(standin), timeout=5).status_code == 503
    assert session.get(messages_url(standin), timeout=5).status_code == 200


def test_a_reset_really_is_one(session: requests.Session, standin: TwilioStandin) -> None:
    standin.script(reset_before())
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        create(session, standin)


def test_leaving_does_not_wait_for_slow_answers() -> None:
    started = time.monotonic()
    with TwilioStandin() as standin:
        standin.script(slow(60))
        url = messages_url(standin)
        hanging = threading.Thread(target=_post_and_forget, args=(url,))
        hanging.start()
        while standin.creates == 0:
            time.sleep(0.01)
    hanging.join()
    assert time.monotonic() - started < 5


def test_what_breaks_inside_is_raised_on_leaving() -> None:
    def broken() -> datetime:
        raise RuntimeError("the clock broke")

    standin = TwilioStandin(clock=broken)
    with requests.Session() as session:
        session.auth = (standin.account_sid, standin.auth_token)
        with pytest.raises(requests.ConnectionError):
            create(session, standin)
    with pytest.raises(RuntimeError, match="the clock broke"), standin:
        pass


def _post_and_forget(url: str) -> None:
    try:
        requests.post(url, data={"To": TO}, timeout=10)
    except requests.ConnectionError:
        return


def test_receipts_are_signed_and_carry_the_reference(
    session: requests.Session, standin: TwilioStandin, service: WebhookReceiver
) -> None:
    create(session, standin, StatusCallback=f"{service.url}/twilio/status?ref=abc")
    text = standin.accepted[0]
    assert text["reference"] == "abc"
    assert standin.deliver(text["sid"]) == [204, 204]
    assert service.statuses() == ["sent", "delivered"]
    for webhook in service.webhooks:
        assert webhook.is_signed
        assert webhook.target == "/twilio/status?ref=abc"
        assert webhook.form["MessageSid"] == webhook.form["SmsSid"] == text["sid"]
        assert webhook.form["To"] == TO
        assert "ErrorCode" not in webhook.form
    url = messages_url(standin, f"/{text['sid']}")
    assert session.get(url, timeout=5).json()["status"] == "delivered"


def test_receipts_may_come_twice_late_and_in_the_wrong_order(
    session: requests.Session, standin: TwilioStandin, service: WebhookReceiver
) -> None:
    create(session, standin, StatusCallback=f"{service.url}/status?ref=1")
    sid = standin.accepted[0]["sid"]
    started = time.monotonic()
    standin.deliver(sid, ("sent", "undelivered"), 30003, doubled=True, reordered=True, delay=0.05)
    assert time.monotonic() - started >= 0.2
    assert service.statuses() == ["undelivered", "undelivered", "sent", "sent"]
    assert [webhook.form.get("ErrorCode") for webhook in service.webhooks] == ["30003", "30003", None, None]


def test_a_text_without_an_address_gets_no_receipts(
    session: requests.Session, standin: TwilioStandin
) -> None:
    create(session, standin)
    assert standin.deliver(standin.accepted[0]["sid"]) == []
    with pytest.raises(KeyError):
        standin.deliver("SM0")


def test_automatic_receipts_come_by_themselves() -> None:
    with TwilioStandin(auto_receipts=True) as standin, WebhookReceiver(standin.auth_token) as service:
        with requests.Session() as session:
            session.auth = (standin.account_sid, standin.auth_token)
            for number in range(20):
                create(session, standin, StatusCallback=f"{service.url}/status?ref={number}")
        assert standin.flush(10)
        assert sorted(service.statuses()) == ["delivered"] * 20 + ["sent"] * 20
        service.answer = twiml(f'<Message statusCallback="{service.url}/status?ref=r">hi</Message>')
        standin.text_in(f"{service.url}/inbound", TO, "hello")
        assert standin.flush(10)
        assert standin.lost_receipts == 0


def test_receipts_nobody_takes_are_counted() -> None:
    with TwilioStandin(auto_receipts=True) as standin, WebhookReceiver(standin.auth_token) as service:
        service.answer = Reply(503)
        with requests.Session() as session:
            session.auth = (standin.account_sid, standin.auth_token)
            create(session, standin, StatusCallback=f"{service.url}/status?ref=1")
        assert standin.flush(10)
        assert standin.lost_receipts == 2


def test_a_text_comes_in_signed_with_every_field(standin: TwilioStandin, service: WebhookReceiver) -> None:
    service.answer = twiml(
        '<Message statusCallback="/status?ref=q">One &amp; só</Message><Message>Two</Message>'
    )
    answer = standin.text_in(f"{service.url}/inbound", TO, "  ", OptOutType="HELP")
    [webhook] = service.webhooks
    assert webhook.is_signed
    assert webhook.form["From"] == TO
    assert webhook.form["Body"] == "  "
    assert webhook.form["OptOutType"] == "HELP"
    assert webhook.form["FromCity"] == ""
    assert (answer.status, answer.texts) == (200, ["One & só", "Two"])
    assert "<Response>" in answer.xml
    assert standin.texts_to(TO) == ["One & só", "Two"]
    assert standin.deliver(answer.sids[0]) == [200, 200]
    assert standin.deliver(answer.sids[1]) == []


def test_a_retry_repeats_the_sid_and_a_lost_answer_reaches_nobody(
    standin: TwilioStandin, service: WebhookReceiver
) -> None:
    service.answer = twiml("<Message>hello</Message>")
    url = f"{service.url}/inbound"
    assert standin.text_in(url, TO, "hi", is_answer_lost=True, MessageSid="SM" + "1" * 32).texts == []
    standin.text_in(url, TO, "hi", MessageSid="SM" + "1" * 32)
    assert {webhook.form["MessageSid"] for webhook in service.webhooks} == {"SM" + "1" * 32}
    assert standin.texts_to(TO) == ["hello"]


def test_a_failing_service_answers_nothing(standin: TwilioStandin, service: WebhookReceiver) -> None:
    service.answer = Reply(503, b"busy", "text/plain")
    answer = standin.text_in(f"{service.url}/inbound", TO, "hi")
    assert (answer.status, answer.texts, answer.sids) == (503, [], [])


def test_an_answer_that_the_provider_would_not_understand_is_an_error(
    standin: TwilioStandin, service: WebhookReceiver
) -> None:
    service.answer = Reply(200, b"hello", "text/plain")
    with pytest.raises(CarrierError):
        standin.text_in(f"{service.url}/inbound", TO, "hi")


def test_the_public_address_is_signed_and_the_real_one_called() -> None:
    public = "https://care.example"
    with TwilioStandin() as probe:
        token = probe.auth_token
    with (
        WebhookReceiver(token, public_url=public) as service,
        TwilioStandin(reroute=(public, service.url)) as standin,
        requests.Session() as session,
    ):
        session.auth = (standin.account_sid, standin.auth_token)
        create(session, standin, StatusCallback=f"{public}/status?ref=1")
        standin.deliver(standin.accepted[0]["sid"])
        service.answer = twiml("")
        standin.text_in(f"{service.url}/inbound", TO, "hi", f"{public}/inbound")
        assert [webhook.is_signed for webhook in service.webhooks] == [True] * 3
