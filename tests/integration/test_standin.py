"""The stand-in behaves as the provider's documents say, so that what passes against it means something."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import requests

from service.gateways.sms.simulator import CarrierError
from tests.standin import (
    On,
    ReceiptChances,
    StandinProcess,
    TwilioStandin,
    reset_before,
    slow,
    status,
)
from tests.standin.account import ACCOUNT_SID, AUTH_TOKEN, SERVICE_SID
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


def test_a_burst_befalls_requests_in_a_row(session: requests.Session, standin: TwilioStandin) -> None:
    standin.by_chance({status(429, 20429, burst=3): 0.2}, seed=5)
    codes = [create(session, standin).status_code for _ in range(60)]
    runs = [len(run) for run in "".join("x" if code == 429 else " " for code in codes).split()]
    assert all(run % 3 == 0 for run in runs[:-1])
    assert 429 in codes
    standin.by_chance({}, seed=5)
    assert create(session, standin).status_code == 201


def test_listing_filters_by_the_day_and_the_instant_of_sending(
    session: requests.Session, standin: TwilioStandin
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for hours in (30, 2, 1):
        standin.record_inbound(TO, f"{hours}", at=now - timedelta(hours=hours))
    create(session, standin)  # queued: not sent yet, so that no filter by its date finds it

    def bodies(**query: str) -> list[str]:
        shown = session.get(messages_url(standin), params=query, timeout=5).json()
        return [text["body"] for text in shown["messages"]]

    assert bodies(From=TO) == ["1", "2", "30"]
    since = {"DateSent>": (now - timedelta(hours=2)).isoformat()}
    assert bodies(**since) == ["1", "2"]
    assert bodies(**{"DateSent<": (now - timedelta(hours=2)).isoformat()}) == ["2", "30"]
    assert bodies(DateSent=(now - timedelta(hours=30)).date().isoformat())[-1] == "30"
    assert bodies(To=standin.number, PageSize="1") == ["1"]


def test_pages_stay_in_place_while_texts_come(session: requests.Session, standin: TwilioStandin) -> None:
    for number in range(4):
        standin.record_inbound(TO, str(number))
    first = session.get(messages_url(standin), params={"PageSize": "2"}, timeout=5).json()
    standin.record_inbound(TO, "later")
    second = session.get(standin.url + first["next_page_uri"], timeout=5).json()
    assert [text["body"] for text in first["messages"] + second["messages"]] == ["3", "2", "1", "0"]
    assert second["next_page_uri"] is None


def test_the_account_is_shown_as_it_was_set_up(session: requests.Session, standin: TwilioStandin) -> None:
    def get(path: str, **query: str) -> requests.Response:
        return session.get(standin.url + path, params=query, timeout=5)

    account = f"/2010-04-01/Accounts/{standin.account_sid}"
    standin.setup.account["status"] = "suspended"
    standin.setup.numbers[0]["sms_url"] = "https://example.org/twilio/inbound"
    standin.setup.services[standin.service_sid]["use_inbound_webhook_on_number"] = True
    assert get(f"{account}.json").json()["status"] == "suspended"
    numbers = f"{account}/IncomingPhoneNumbers.json"
    found = get(numbers, PhoneNumber=standin.number).json()["incoming_phone_numbers"]
    assert [(n["sms_url"], n["sms_method"]) for n in found] == [
        ("https://example.org/twilio/inbound", "POST")
    ]
    assert get(numbers, PhoneNumber=TO).json()["incoming_phone_numbers"] == []
    service = f"/v1/Services/{standin.service_sid}"
    assert get(service).json()["use_inbound_webhook_on_number"] is True
    pool = get(f"{service}/PhoneNumbers").json()["phone_numbers"]
    assert [n["phone_number"] for n in pool] == [standin.number]
    assert get("/v1/Services/MG" + "0" * 32).status_code == 404


def test_automatic_receipts_go_wrong_by_chance(session: requests.Session) -> None:
    chances = ReceiptChances(
        late=0.2,
        late_seconds=(0.01, 0.05),
        doubled=0.2,
        reordered=0.2,
        lost=0.2,
        failures=(("undelivered", 30003, 0.2), ("failed", 30008, 0.2)),
    )
    with TwilioStandin(auto_receipts=True) as standin, WebhookReceiver(standin.auth_token) as service:
        standin.receipts_by_chance(chances, seed=4)
        for number in range(60):
            create(session, standin, StatusCallback=f"{service.url}/twilio/status?ref={number}")
        assert standin.flush()
        told: dict[str, list[str]] = {str(number): [] for number in range(60)}
        for webhook in service.webhooks:
            told[webhook.target.partition("ref=")[2]].append(webhook.form["MessageStatus"])
        texts = standin.phone_texts
        codes = {w.form["MessageStatus"]: w.form.get("ErrorCode") for w in service.webhooks}
    orders = {tuple(statuses) for statuses in told.values()}
    assert {
        ("sent", "delivered"),
        ("delivered", "sent"),
        ("sent", "sent", "delivered", "delivered"),
    } <= orders
    assert {("sent", "undelivered"), ("failed",)} <= orders
    assert () in orders or ("sent",) in orders, "some are lost"
    assert codes["undelivered"] == "30003"
    assert codes["failed"] == "30008"
    assert set(Counter(text.status for text in texts)) == {"delivered", "undelivered", "failed"}


def test_a_stand_in_of_its_own_process_tells_what_it_took(session: requests.Session) -> None:
    with StandinProcess() as process, WebhookReceiver(AUTH_TOKEN) as service:
        process.script(reset_before(), status(503, accepts=True), None)
        url = f"{process.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
        form = {
            "To": TO,
            "MessagingServiceSid": SERVICE_SID,
            "Body": "hello",
            "StatusCallback": f"{service.url}/twilio/status?ref=r1",
        }
        with pytest.raises(requests.ConnectionError):
            session.post(url, data=form, timeout=5)
        assert [session.post(url, data=form, timeout=5).status_code for _ in range(2)] == [503, 201]
        assert process.call("flush", timeout=5)
        asked, texts = process.requests(), process.texts()
        assert [(r.to, r.reference, r.fault) for r in asked] == [
            (TO, "r1", "reset before it was taken"),
            (TO, "r1", "taken, then HTTP 503"),
            (TO, "r1", "none"),
        ]
        assert [(t.reference, t.status, t.surely_did_not_arrive) for t in texts] == [
            ("r1", "delivered", False)
        ] * 2
        assert process.counts() == {"creates": 3, "taken": 2, "lost_receipts": 0}
        service.answer = twiml("<Message>Hi</Message>")
        answer = process.call("text_in", webhook_url=f"{service.url}/twilio/inbound", from_=TO, body="STOP")
        assert answer["texts"] == ["Hi"]
        assert abs(answer["answered_at"] - time.time()) < 5
        service.answer = Reply(503)
        answer = process.call("text_in", webhook_url=f"{service.url}/twilio/inbound", from_=TO, body="STOP")
        assert answer["answered_at"] is None
