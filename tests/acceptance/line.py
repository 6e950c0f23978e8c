"""The whole line over real HTTP: a web server, a worker and the provider's stand-in, on a fake clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from werkzeug.serving import make_server

from service.store.messages import Message
from service.usecases.operations.live_mode import go_live
from service.usecases.sending.work import work_once
from service.web.app import create_app
from service.wiring import Runtime, build_runtime
from tests.conftest import FakeClock, make_settings
from tests.standin import TwilioStandin


@dataclass
class Line:
    """A running line and one person's phone on it."""

    runtime: Runtime
    standin: TwilioStandin
    clock: FakeClock
    url: str
    phone: str = "+12025550147"

    def text(self, body: str, **fields: str) -> list[str]:
        """Text the line; returns what is answered at once."""
        answer = self.standin.text_in(
            f"{self.url}/twilio/inbound", self.phone, body, None, is_answer_lost=False, **fields
        )
        assert answer.status == 200
        self.standin.flush()
        return answer.texts

    def work(self) -> list[str]:
        """Let a worker do one round; returns the texts it sent."""
        before = len(self.standin.accepted)
        runtime = self.runtime
        work_once(runtime.context, runtime.transport, runtime.clock, runtime.records)
        self.standin.flush()
        return [text["body"] for text in self.standin.accepted[before:]]

    def pass_time(
        self, until: datetime, step: timedelta = timedelta(minutes=15)
    ) -> list[tuple[datetime, str]]:
        """Let the clock run with a worker at every step; returns what was sent and when."""
        sent = []
        while self.clock.at < until:
            self.clock.advance(min(step, until - self.clock.at))
            sent += [(self.clock.at, body) for body in self.work()]
        return sent

    def states(self) -> list[str]:
        with self.runtime.database.read() as session:
            return sorted(str(state) for (state,) in session.query(Message.state))


@contextmanager
def running_line(database_url: str, clock: FakeClock, **settings: object) -> Iterator[Line]:
    """Serve the line on a free port, live, with receipts coming back by themselves."""
    with TwilioStandin(auto_receipts=True, clock=clock) as standin:
        server = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start), threaded=True)
        url = f"http://127.0.0.1:{server.server_port}"
        runtime = build_runtime(
            make_settings(
                database_url=database_url,
                transport="twilio",
                twilio_account_sid=standin.account_sid,
                twilio_auth_token=standin.auth_token,
                twilio_messaging_service_sid=standin.service_sid,
                twilio_api_url=standin.url,
                twilio_optout_mode=settings.pop("mode", "app"),
                public_url=url,
                sender_segments_per_second=1000,
                **settings,
            ),
            system=clock,
        )
        app = create_app(runtime)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            go_live(runtime.context, "test", clock(), force=True)
            yield Line(runtime, standin, clock, url)
        finally:
            standin.flush()
            server.shutdown()
            thread.join()
            server.server_close()
            runtime.close()
