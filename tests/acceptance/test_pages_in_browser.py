"""The pages in a real browser: with and without scripts, by keyboard, on narrow screens, under the CSP."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import select
from werkzeug.serving import make_server

from service.store.participants import Participant
from service.usecases.operations.demo import seed_demo
from service.web.app import create_app
from service.wiring import Runtime, build_runtime
from tests.conftest import NOW, FakeClock, make_settings

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium")


@dataclass
class Site:
    """A running service, and everything that browsers complained about."""

    runtime: Runtime
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, browser: Browser, path: str, *, width: int = 1280, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda line: self._note(line.type, line.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.goto(self.url + path)
        return page

    def _note(self, kind: str, line: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(line)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("NO BROWSER: install Chromium")
        pytest.skip("NO BROWSER: install Chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    """A service on a port of its own; what a browser complains about fails the test."""
    shutil.copy(sqlite_template, tmp_path / "site.db")
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    settings = make_settings(database_url=f"sqlite:///{tmp_path / 'site.db'}", public_url=url)
    runtime = build_runtime(settings, system=clock)
    server = make_server("127.0.0.1", port, create_app(runtime), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    running = Site(runtime, url)
    yield running
    server.shutdown()
    thread.join()
    server.server_close()
    assert runtime.simulator is not None
    runtime.simulator.close()
    runtime.close()
    assert running.complaints == []


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def add_phone(page: Page, number: str) -> None:
    page.get_by_text("Add a phone", exact=True).click()
    page.get_by_label("Number").fill(number)
    page.get_by_label("Time zone").select_option("America/Chicago")
    page.get_by_role("button", name="Add", exact=True).click()


@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_phone_joins_and_leaves(browser: Browser, site: Site, has_scripts: bool) -> None:
    page = site.open(browser, "/phone/", java_script_enabled=has_scripts)
    add_phone(page, "202-555-0123")
    phone = page.get_by_role("article", name="Phone of 202-555-0123")
    expect(phone.get_by_text("has not joined")).to_be_visible()

    phone.get_by_role("button", name="JOIN").click()
    expect(phone.get_by_text("Reply YES to confirm")).to_be_visible()
    phone.get_by_role("button", name="YES").click()
    expect(phone.get_by_text("takes part")).to_be_visible()
    phone.get_by_label("Text from 202-555-0123").fill("please stop texting me")
    phone.get_by_role("button", name="Send").click()

    expect(phone.locator(".status")).to_have_text("opted out")
    expect(phone.get_by_text("you will get no more texts")).to_be_visible()
    expect(phone.get_by_label("Text from 202-555-0123")).to_have_value("")


@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_clock_brings_a_check_in_that_can_be_answered(
    browser: Browser, site: Site, has_scripts: bool
) -> None:
    seed_demo(site.runtime.context, NOW)
    page = site.open(browser, "/phone/", java_script_enabled=has_scripts)
    phone = page.get_by_role("article", name="Phone of Ana Example")

    for _ in range(20):
        page.get_by_role("button", name="To the next text").click()
        expect(page.get_by_role("status")).to_contain_text("It is now")
        if phone.get_by_text("A question is open").is_visible():
            break
    phone.get_by_role("button", name="7", exact=True).click()

    expect(phone.locator(".bubble.mine")).to_contain_text("7")
    expect(phone.locator(".bubble").last).to_have_class("bubble theirs")


def test_a_live_page_never_reloads_and_keeps_what_is_being_typed(browser: Browser, site: Site) -> None:
    seed_demo(site.runtime.context, NOW)
    page = site.open(browser, "/phone/")
    page.evaluate("window.isTheSamePage = true")
    draft = page.get_by_label("Text from Ben Example")
    draft.fill("half a thou")
    page.get_by_label("Text from Ana Example").fill("HELP")

    page.keyboard.press("Enter")
    answered = page.get_by_role("article", name="Phone of Ana Example").locator(".bubble.theirs")
    expect(answered).to_have_count(1)

    assert page.evaluate("window.isTheSamePage")
    expect(draft).to_have_value("half a thou")
    expect(page.get_by_label("Text from Ana Example")).to_be_focused()
    thread = page.get_by_role("log", name="Texts of Ana Example")
    assert thread.evaluate("box => box.scrollTop + box.clientHeight >= box.scrollHeight - 2")


def test_texts_that_arrive_meanwhile_appear_by_themselves(browser: Browser, site: Site) -> None:
    seed_demo(site.runtime.context, NOW)
    page = site.open(browser, "/phone/")
    other = site.open(browser, "/phone/")

    other.get_by_role("article", name="Phone of Ana Example").get_by_role("button", name="HELP").click()

    bubbles = page.get_by_role("article", name="Phone of Ana Example").locator(".bubble")
    expect(bubbles).to_have_count(2, timeout=10_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize(
    "path",
    ["/join/first-year", "/join/first-year?lang=es", "/join/first-year/privacy", "/join/x", "/phone/"],
)
def test_no_page_scrolls_sideways(browser: Browser, site: Site, path: str, width: int, scheme: str) -> None:
    seed_demo(site.runtime.context, NOW)
    page = site.open(browser, path, width=width, color_scheme=scheme)
    site.complaints = [line for line in site.complaints if "404" not in line]

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without scripts"])
def test_signing_up_needs_a_keyboard_and_nothing_else(
    browser: Browser, site: Site, has_scripts: bool
) -> None:
    page = site.open(browser, "/join/first-year", width=320, java_script_enabled=has_scripts)

    page.get_by_label("Your mobile number").focus()
    page.keyboard.type("202-555-0123")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    with site.runtime.database.read() as session:
        assert len(session.scalars(select(Participant.id)).all()) == 1


def test_a_refused_sign_up_names_the_field_and_keeps_the_number(browser: Browser, site: Site) -> None:
    page = site.open(browser, "/join/first-year", width=320)
    page.get_by_label("Your mobile number").fill("202-555")

    page.get_by_role("button", name="Send me the first text").click()

    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.get_by_label("Your mobile number")).to_have_value("202-555")
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.get_by_label("Your mobile number")).to_be_in_viewport()
    site.complaints = [line for line in site.complaints if "422" not in line]
