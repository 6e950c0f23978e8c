"""The page for clinicians: every text once, nothing from outside, the same bytes for the same catalog."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from datetime import date
from html.parser import HTMLParser

import pytest

from service.catalog import Catalog, TextEntry, default_messages_path, load_catalog
from service.domain.kinds import MessageKind
from service.usecases.review.example_person import DEFAULT_PROGRAM, ExamplePerson
from service.usecases.review.program_calendar import list_weekly_plans, list_weeks
from service.usecases.review.review_page import KIND_TITLES, hash_catalog, render_review_page

CATALOG = load_catalog(default_messages_path())
ON = date(2026, 11, 21)
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """Reads a page as strictly as it should be written: whatever opens closes, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.articles: list[str] = []
        self.declarations: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert len(values) == len(attrs), f"an attribute twice in {tag}"
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "article":
            self.articles.append(values["id"])
        self.links += [value for name, value in values.items() if name in {"href", "src", "action"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


def person(catalog: Catalog = CATALOG, program: str = DEFAULT_PROGRAM) -> ExamplePerson:
    return ExamplePerson(catalog.programs[program])


def page(catalog: Catalog = CATALOG, on: date = ON) -> str:
    return render_review_page(catalog, person(catalog), on)


def with_text(text_id: str, **changes: object) -> Catalog:
    """The real catalog with one text changed."""
    entry: TextEntry = dataclasses.replace(CATALOG.entries[text_id], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(CATALOG, entries={**CATALOG.entries, text_id: entry})


@pytest.fixture(scope="module")
def html() -> str:
    return page()


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_every_text_of_the_catalog_is_there_once(reader: Reader) -> None:
    assert sorted(reader.articles) == sorted(CATALOG.entries)


def test_every_wording_is_there(html: str) -> None:
    shown = re.sub(r"\s+", " ", html)
    for entry in CATALOG.entries.values():
        box = shown[shown.index(f'id="{entry.id}"') :].split("</article>")[0]
        assert box.count('class="wording"') == len(entry.wordings), entry.id
        assert entry.sha256[:12] in box


def test_every_text_has_a_place_for_initials_and_date(html: str) -> None:
    assert html.count("<p>Initials</p><p>Date</p>") == len(CATALOG.entries)


def test_every_kind_has_a_title() -> None:
    assert set(KIND_TITLES) == set(MessageKind)


def test_the_page_is_whole_and_its_own_links_lead_somewhere(reader: Reader) -> None:
    assert reader.declarations == ["DOCTYPE html"]
    assert [reader.tags[tag] for tag in ("html", "head", "title", "style", "body", "main", "h1")] == [1] * 7
    assert not [name for name, count in Counter(reader.ids).items() if count > 1]
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


def test_nothing_comes_from_outside(html: str, reader: Reader) -> None:
    assert not reader.tags.keys() & {"script", "link", "img", "iframe", "form", "object"}
    assert all(link.startswith("#") for link in reader.links)
    assert "url(" not in html
    assert "@import" not in html


def test_words_that_look_like_markup_are_words() -> None:
    wordings = {"en": "<script>alert('x')</script> & {{b}}", "es": '"> <b>{org}</b>'}
    fields = {"org": "Harbor"}
    shown = page(with_text("tip/slow-breath", wordings=wordings, fields=fields))

    assert "<script" not in shown
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; {b}" in shown
    assert "&#34;&gt; &lt;b&gt;<u>River House</u>&lt;/b&gt;" in shown
    Reader(shown)


def test_the_same_catalog_gives_the_same_bytes(html: str) -> None:
    assert page(Catalog.load(default_messages_path())).encode() == html.encode()


def test_another_day_changes_the_date_and_nothing_else(html: str) -> None:
    other = page(on=date(2027, 1, 2))

    assert other != html
    assert other.replace("2027-01-02", "2026-11-21") == html


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sha256": "0" * 64}, id="other words"),
        pytest.param({"version": 99}, id="another version"),
    ],
)
def test_a_changed_text_changes_the_fingerprint_of_the_catalog(changes: dict[str, object]) -> None:
    assert hash_catalog(with_text("tip/slow-breath", **changes)) != hash_catalog(CATALOG)


def test_it_says_first_that_nothing_has_been_reviewed(html: str) -> None:
    warning = f"Nothing here has been clinically reviewed. All {len(CATALOG.entries)} texts are drafts."

    assert html.index(warning) < html.index("<h2")


@pytest.mark.parametrize(
    ("signed", "expected"),
    [
        pytest.param(True, "signed by Dr. Ito on 2026-11-20<", id="these words"),
        pytest.param(False, "signed by Dr. Ito on 2026-11-20, for other words than these<", id="older words"),
    ],
)
def test_a_signature_counts_for_the_words_that_were_signed(signed: bool, expected: str) -> None:
    sha = CATALOG.entries["tip/slow-breath"].sha256 if signed else "0" * 64
    shown = page(with_text("tip/slow-breath", review={"by": "Dr. Ito", "on": "2026-11-20", "sha256": sha}))

    assert expected in shown
    total = len(CATALOG.entries)
    said = f"{total - 1} of {total} texts have not been" if signed else "Nothing here has been"
    assert said in shown


@pytest.mark.parametrize("name", sorted(CATALOG.programs))
def test_every_dated_text_of_a_program_is_in_its_calendar(name: str) -> None:
    program = CATALOG.programs[name]
    lines = [line for week in list_weeks(program, CATALOG) for line in week.lines]
    shown = {(line.day, line.at, line.text_id) for line in lines}

    expected = {(step.day, f"{step.at:%H:%M}", step.text_ids[0]) for step in program.steps if step.text_ids}
    assert expected
    assert expected <= shown


@pytest.mark.parametrize("name", sorted(CATALOG.programs))
def test_a_calendar_goes_by_day_and_time_and_names_only_what_exists(name: str) -> None:
    weeks = list_weeks(CATALOG.programs[name], CATALOG)
    lines = [line for week in weeks for line in week.lines]

    assert [(line.day, line.at) for line in lines] == sorted((line.day, line.at) for line in lines)
    assert all(line.day // 7 == week.number for week in weeks for line in week.lines)
    assert {line.text_id for line in lines if line.text_id} <= set(CATALOG.entries)
    assert {line.check_in_id for line in lines if line.check_in_id} <= set(CATALOG.check_ins)


@pytest.mark.parametrize("name", sorted(CATALOG.programs))
def test_every_weekly_step_says_what_it_takes_turns_through(name: str) -> None:
    program = CATALOG.programs[name]
    plans = list_weekly_plans(program, CATALOG)

    assert [plan.id for plan in plans] == [step.id for step in program.weekly]
    assert all(plan.takes_turns and plan.weekdays for plan in plans)


def test_every_answer_of_a_check_in_leads_to_its_text(html: str) -> None:
    asked = re.sub(r"\s+", " ", html[html.index(">Check-ins</h2>") : html.index(">Hotlines</h2>")])
    for check_in in CATALOG.check_ins.values():
        for text_id in check_in.text_ids():
            assert f'href="#{text_id}"' in asked, text_id
    assert (
        '<th scope="row" class="narrow">7, 8</th><td class="narrow"><a href="#check-in/urge-strong">' in asked
    )


def test_every_hotline_is_there_with_its_source_and_date(html: str) -> None:
    listed = html[html.index(">Hotlines</h2>") :]
    for line in CATALOG.hotlines:
        assert f"<td>{line.name}</td>" in listed
        assert line.last_verified.isoformat() in listed
