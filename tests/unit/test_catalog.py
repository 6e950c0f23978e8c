"""The messages folder is loaded once, and a fault in it is named by file, line and what was expected."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from service.catalog import Catalog, CatalogError, default_messages_path, load_catalog
from service.domain.keywords import Keyword
from service.domain.kinds import MessageKind

FILES = {
    "texts/tips.yaml": """\
# Tips.
- id: tip/walk
  version: 2
  kind: tip
  topic: move
  phase: [early]
  source: ["002:92"]
  review: draft
  fields: {org: "Harbor Point Community Health Network NE"}
  max_segments: 1
  en: "{org}: try a short walk."
  es: "{org}: pruebe caminar un poco."
  en_plain: "{org}: a walk helps with cravings."

- id: tip/sleep
  version: 1
  kind: tip
  source: ["002:93"]
  review: draft
  en: "Try dim lights tonight."
  es: "Pruebe luz baja."
""",
    "texts/more/replies.yaml": """\
- id: reply/fault
  version: 1
  kind: reply
  source: ["rule A4"]
  review: draft
  en: "Something went wrong. Call 911."
  es: "Algo fallo. Llame al 911."
- id: mood/ask
  version: 1
  kind: checkin
  source: ["rule C2"]
  en: "How is your mood? 1 good 2 low"
  es: "¿Cómo va su ánimo? 1 bien 2 mal"
  review: draft
- id: mood/reply
  version: 1
  kind: reply
  source: ["rule C2"]
  review: draft
  en: "Thank you."
  es: "Gracias."
""",
    "hotlines.yaml": """\
- country: US
  kind: emergency
  name: Emergency services
  voice: "911"
  languages: [en]
  hours: "24/7"
  source: "national number"
  last_verified: 2026-11-20
- country: US
  kind: crisis
  name: Night Line
  voice: "988"
  languages: [en, es]
  hours: "24/7"
  source: "its own page"
  last_verified: 2026-11-20
""",
    "check_ins/weekly.yaml": """\
id: weekly
version: 1
review: draft
source: ["rule C2"]
questions:
  - id: mood
    ask: mood/ask
    reask: mood/reply
    answers:
      options:
        "1": [good, bien]
        "2": [low, mal]
    replies:
      - {values: ["1"], text: mood/reply}
      - {values: ["2"], text: mood/reply}
skipped: mood/reply
closing: mood/reply
unclear: mood/reply
""",
    "programs/first-year.yaml": """\
id: first-year
version: 1
name: Harbor
word: HARBOR
days: 365
frequency:
  en: "a few texts a week"
  es: "unos mensajes por semana"
review: draft
steps:
  - id: first
    day: 0
    time: "16:00"
    kind: tip
    texts: [tip/walk]
    late: send
weekly:
  - id: check
    weekdays: [MO]
    first_day: 1
    last_day: 365
    time: "17:00"
    kind: checkin
    check_ins: [weekly]
  - id: tips
    weekdays: [TU]
    first_day: 1
    last_day: 28
    time: "12:00"
    kind: tip
    texts:
      - tip/walk
      - tip/sleep
""",
    "programs/short.yaml": """\
id: short-one
version: 1
name: Bridge
word: bridge
days: 9
frequency: {en: "daily", es: "diario"}
""",
    "style.yaml": """\
denied: [{because: it sells, source: A3, words: {en: [act now]}}]
stigmatizing: [{because: it shames, source: A3, words: {en: [addict*]}}]
revealing: [{because: it tells, source: B10, words: {en: [meeting]}}]
hard: {en: {utilize: use}}
asking: {en: [try], es: [pruebe]}
not_asking_after: {en: [to]}
imperatives: {en: [call]}
names: [SMART Recovery]
revealing_fields: [place]
opting_topics: [consent]
""",
    "keywords.yaml": """\
keywords:
  stop: {en: [stop], es: [alto]}
  start: {en: [start]}
  "yes": {en: ["yes"]}
  "no": {en: ["no"]}
  help: {en: [help]}
  info: {en: [info]}
  join: {en: [join]}
  pause: {en: [pause]}
  resume: {en: [resume]}
  lang: {en: [lang]}
  wrong: {en: [wrong]}
  more: {en: [more]}
  less: {en: [less]}
  time: {en: [time]}
  keep: {en: [keep]}
languages: {es: [espanol]}
pause_numbers: {one: 1}
pause_units: {days: 1}
pause_fillers: [for]
times: {morning: ["1"], midday: ["2"], evening: ["3"]}
time_fillers: [the]
keeps: {en: [continue]}
politeness: [please]
courtesy: [please]
clause_breaks: [but]
reactions: [liked]
provider_words: {stop: [stop]}
lists: {me: [me, us]}
stop_wordings: ["stop texting <me>"]
stop_exceptions: []
wrong_number_wordings: ["wrong person"]
wrong_number_exceptions: []
""",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "messages"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{old!r} is not in {name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def fault_of(root: Path) -> str:
    with pytest.raises(CatalogError) as error:
        Catalog.load(root)
    return str(error.value)


def test_everything_in_the_folder_is_there_after_loading(root: Path) -> None:
    catalog = load_catalog(root)
    assert set(catalog.entries) == {"tip/walk", "tip/sleep", "reply/fault", "mood/ask", "mood/reply"}
    assert set(catalog.programs) == {"first-year", "short-one"}
    assert catalog.check_in("weekly").questions[0].ask == "mood/ask"
    assert [line.name for line in catalog.hotlines] == ["Emergency services", "Night Line"]
    assert catalog.keywords.words["alto"] is Keyword.STOP


def test_a_text_says_what_it_is_and_where_it_stands(root: Path) -> None:
    entry = load_catalog(root).text("tip/walk")
    assert (entry.id, entry.version, entry.kind, entry.topic) == ("tip/walk", 2, MessageKind.TIP, "move")
    assert (entry.phase, entry.source, entry.max_segments) == (("early",), ("002:92",), 1)
    assert (entry.file, entry.line) == ("messages/texts/tips.yaml", 2)
    assert (entry.is_unprompted, entry.is_signed) == (True, False)


@pytest.mark.parametrize(
    ("reason", "text_id", "language", "plain", "body", "found"),
    [
        ("the default is discreet", "tip/walk", "en", False, "{org}: try a short walk.", ("en", False)),
        ("plain when chosen", "tip/walk", "en", True, "{org}: a walk helps with cravings.", ("en", True)),
        ("their language", "tip/walk", "es", False, "{org}: pruebe caminar un poco.", ("es", False)),
        ("language before plain", "tip/walk", "es", True, "{org}: pruebe caminar un poco.", ("es", False)),
        ("no plain wording", "tip/sleep", "en", True, "Try dim lights tonight.", ("en", False)),
        ("no such language", "tip/sleep", "fr", False, "Try dim lights tonight.", ("en", False)),
        (
            "no such language, plain",
            "tip/walk",
            "fr",
            True,
            "{org}: a walk helps with cravings.",
            ("en", True),
        ),
    ],
)
def test_a_text_is_found_in_the_best_wording_there_is(
    root: Path,
    reason: str,
    text_id: str,
    language: str,
    plain: bool,
    body: str,
    found: tuple[str, bool],
) -> None:
    text = load_catalog(root).get(text_id, language, plain=plain)
    assert (text.body, (text.language, text.is_plain)) == (body, found), reason


def test_a_text_carries_its_own_fields_and_no_others(root: Path) -> None:
    edit(root, "texts/tips.yaml", "fields: {", 'fields: {unused: "x", ')
    text = load_catalog(root).get("tip/walk", "en")
    assert dict(text.fields) == {"org": "Harbor Point Community Health Network NE"}


def test_an_unknown_text_or_check_in_is_an_error(root: Path) -> None:
    catalog = load_catalog(root)
    for look_up in (
        lambda: catalog.get("tip/none", "en"),
        lambda: catalog.text("x"),
        lambda: catalog.check_in("x"),
    ):
        with pytest.raises(KeyError):
            look_up()


@pytest.mark.parametrize("word", ["first-year", "FIRST YEAR", "harbor", " Harbor! "])
def test_a_program_is_found_by_its_id_or_its_own_word(root: Path, word: str) -> None:
    program = load_catalog(root).find_program(word)
    assert program is not None
    assert program.id == "first-year"


@pytest.mark.parametrize("word", ["", "first", "harbors", "Night Line"])
def test_no_program_is_found_by_anything_else(root: Path, word: str) -> None:
    assert load_catalog(root).find_program(word) is None


def test_the_catalog_never_changes_after_loading(root: Path) -> None:
    catalog = load_catalog(root)
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.hotlines = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        catalog.entries["tip/walk"] = catalog.text("tip/sleep")  # type: ignore[index]
    with pytest.raises(TypeError):
        catalog.text("tip/walk").wordings["en"] = "other"  # type: ignore[index]


def sign(root: Path, sha256: str) -> None:
    signature = f"review: {{by: Dr. Example, on: 2026-11-20, sha256: {sha256}}}"
    edit(root, "texts/tips.yaml", "review: draft", signature)


def test_drafts_are_unsigned(root: Path) -> None:
    assert load_catalog(root).unsigned_ids() == [
        "mood/ask",
        "mood/reply",
        "reply/fault",
        "tip/sleep",
        "tip/walk",
    ]


def test_a_signature_over_the_words_of_today_counts(root: Path) -> None:
    sign(root, load_catalog(root).text("tip/walk").sha256)
    assert "tip/walk" not in load_catalog(root).unsigned_ids()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("try a short walk", "try a long walk"),
        ("pruebe caminar", "intente caminar"),
        ("a walk helps", "walking helps"),
    ],
)
def test_changing_any_wording_takes_the_signature_away(root: Path, old: str, new: str) -> None:
    sign(root, load_catalog(root).text("tip/walk").sha256)
    edit(root, "texts/tips.yaml", old, new)
    assert "tip/walk" in load_catalog(root).unsigned_ids()


def test_every_wording_of_a_text_has_the_hash_that_is_signed(root: Path) -> None:
    catalog = load_catalog(root)
    hashes = {catalog.get("tip/walk", language, plain=True).sha256 for language in ("en", "es")}
    assert hashes == {catalog.text("tip/walk").sha256}


TIPS, REPLIES, LINES, STYLE = "texts/tips.yaml", "texts/more/replies.yaml", "hotlines.yaml", "style.yaml"
WEEKLY, YEAR, SHORT, WORDS = (
    "check_ins/weekly.yaml",
    "programs/first-year.yaml",
    "programs/short.yaml",
    "keywords.yaml",
)
LONG = "a" * 161


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        # YAML
        (TIPS, "topic: move", "topic: [move", "6: did not find expected ',' or ']'; expected YAML"),
        (
            TIPS,
            "topic: move",
            "topic:\tmove\n\tx",
            "6: found a tab character that violates indentation; expected YAML",
        ),
        (TIPS, "topic: move", "en: x", "11: the key en is there twice; expected once"),
        (TIPS, "topic: move", "topic: 2026-13-01", "5: month must be in 1..12; expected YAML"),
        (
            TIPS,
            "# Tips.",
            "tips:",
            "1: found {'tips': [{'id': 'tip/walk', 'version...; expected a list of texts",
        ),
        # one text
        (TIPS, "id: tip/walk", "name: x", "2: text: id is missing; expected text"),
        (
            TIPS,
            "id: tip/walk",
            "id: tip walk",
            "2: text: id is 'tip walk'; expected letters, digits, - and /",
        ),
        (
            TIPS,
            "id: tip/sleep",
            "id: tip/walk",
            "15: text tip/walk is already in messages/texts/tips.yaml:2;",
        ),
        (
            REPLIES,
            "id: mood/ask",
            "id: tip/walk",
            "2: text tip/walk is already in messages/texts/more/replies",
        ),
        (
            TIPS,
            "topic: move",
            "topics: move",
            "5: text tip/walk: unknown key 'topics'; expected one of id, ver",
        ),
        (TIPS, "topic: move", "topic: 7", "5: text tip/walk: topic is 7; expected text"),
        (
            TIPS,
            "kind: tip",
            "kind: tipp",
            "4: text tip/walk: kind is 'tipp'; expected one of crisis_reply, re",
        ),
        (TIPS, "kind: tip", "topics: x", "4: text tip/walk: unknown key 'topics'; expected"),
        (TIPS, "version: 2", "version: 0", "3: text tip/walk: version is 0; expected a whole number from 1"),
        (
            TIPS,
            "phase: [early]",
            "phase: [soon]",
            "6: text tip/walk: phase has 'soon'; expected some of early",
        ),
        (
            TIPS,
            'source: ["002:92"]',
            "source: []",
            "7: text tip/walk: source is missing; expected where its f",
        ),
        (
            TIPS,
            "review: draft",
            "review: ok",
            "8: text tip/walk: review is 'ok'; expected draft, or by, on and",
        ),
        (
            TIPS,
            "review: draft",
            "review: {by: x}",
            "8: text tip/walk: review is {'by': 'x'}; expected draft, or",
        ),
        (
            TIPS,
            "max_segments: 1",
            "max_segments: 9",
            "10: text tip/walk: max_segments is 9; expected a whole",
        ),
        # wordings
        (
            TIPS,
            '  es: "{org}: pruebe caminar un poco."\n',
            "",
            "2: text tip/walk: es is missing; expected the w",
        ),
        (
            TIPS,
            '  en: "{org}: try a short walk."\n',
            "",
            "2: text tip/walk: en is missing; expected the wording",
        ),
        (
            TIPS,
            "{org}: try",
            "{org: try",
            "11: text tip/walk: en: a stray '{'; expected {{ or }} for the char",
        ),
        (
            TIPS,
            "{org}: pruebe",
            "{org.x}: pruebe",
            "12: text tip/walk: es: '{org.x}' is no placeholder; expect",
        ),
        (
            TIPS,
            "{org}: a walk",
            "{name}: a walk",
            "13: text tip/walk: en_plain: {name} is not declared; expect",
        ),
        (
            TIPS,
            "Harbor Point",
            "Harbor Point " * 9,
            "11: text tip/walk: en: it takes 2 segments at 164 charact",
        ),
        (
            TIPS,
            "Try dim",
            LONG,
            "20: text tip/sleep: en: it takes 2 segments at 177 characters; expected at most",
        ),
        (
            TIPS,
            "Try dim",
            "Try – dim",
            "20: text tip/sleep: en: '–' forces UCS-2; expected GSM-7 characters only",
        ),
        (
            TIPS,
            "Pruebe luz baja.",
            "á" * 71,
            "21: text tip/sleep: es: it takes 2 segments because 'á' forces",
        ),
        (
            REPLIES,
            "Thank you.",
            LONG * 2,
            "20: text mood/reply: en: it takes 3 segments at 322 characters; expec",
        ),
        (TIPS, "{org: ", "{Org: ", "9: text tip/walk: fields has 'Org'; expected a name like org_phone"),
        (TIPS, 'org: "Harbor', '911: "Harbor', "9: text tip/walk, fields: the key 911 is not text; expected"),
        # the text for faults
        (
            REPLIES,
            "id: reply/fault",
            "id: reply/other",
            "there is no text reply/fault; expected one, for faults",
        ),
        (
            REPLIES,
            "kind: reply",
            "kind: reply\n  fields: {a: b}",
            "1: text reply/fault: it has fields; expected none",
        ),
        # hotlines
        (
            LINES,
            "kind: crisis",
            "kind: treatment",
            "1: US has no crisis line; expected one that can be called",
        ),
        (
            LINES,
            'voice: "988"',
            "voice: 988",
            "12: hotline Night Line: voice is 988; expected text, in quotes",
        ),
        (
            LINES,
            "hours",
            "houres",
            "6: hotline Emergency services: unknown key 'houres'; expected one of country",
        ),
        (
            LINES,
            "2026-11-20",
            '"soon"',
            "8: hotline Emergency services: last_verified is 'soon'; expected a date",
        ),
        # keywords
        (WORDS, "es: [alto]", "es: [2]", "2: keywords.stop.es: 2 is not text; put it in quotes"),
        (WORDS, "es: [alto]", "es: [help]", "6: keywords.help.en: 'help' already means something else"),
        (WORDS, "stop_exceptions: []\n", "", "1: keywords: unknown sections [], missing sections"),
        (WORDS, "<me>", "<they>", "30: stop_wordings: "),
        # style
        (STYLE, "because: it sells, ", "", "1: style, denied: because is missing; expected text"),
        (STYLE, "asking: {en: [try]", "asking: {en: [Try]", "5: style, asking: en has 'Try'; expected plain"),
        (STYLE, "names:", "name:", "8: style: unknown key 'name'; expected one of denied, stigma"),
        # check-ins
        (
            WEEKLY,
            "ask: mood/ask",
            "ask: mood/none",
            "7: check-in weekly, question mood: there is no text mood/no",
        ),
        (
            WEEKLY,
            "reask: mood/reply",
            "reask: x",
            "8: check-in weekly, question mood: there is no text x; expec",
        ),
        (
            WEEKLY,
            'values: ["2"], text: mood/reply',
            'values: ["2"], text: x',
            "15: check-in weekly, question mo",
        ),
        (
            WEEKLY,
            "closing: mood/reply",
            "closing: x",
            "17: check-in weekly: there is no text x; expected an id",
        ),
        (
            WEEKLY,
            "ask: mood/ask",
            "ask: mood/reply",
            "7: check-in weekly: mood/reply arrives unasked but is a r",
        ),
        (
            WEEKLY,
            '      - {values: ["2"], text: mood/reply}\n',
            "",
            "13: question mood: the answer 2 gets no reply;",
        ),
        (
            WEEKLY,
            "[low, mal]",
            "[low, alto]",
            "12: check-in weekly, question mood: 'alto' is a keyword; expected",
        ),
        (
            WEEKLY,
            "[low, mal]",
            "[low, espanol]",
            "12: check-in weekly, question mood: 'espanol' is a keyword;",
        ),
        (
            WEEKLY,
            "[low, mal]",
            "[low, false]",
            "12: question mood, answers, options: 2 has False; expected text",
        ),
        # programs
        (
            YEAR,
            "texts: [tip/walk]",
            "texts: [tip/none]",
            "15: step first: there is no text tip/none; expected an",
        ),
        (
            YEAR,
            "      - tip/sleep",
            "      - tip/none",
            "33: step tips: there is no text tip/none; expected an id",
        ),
        (
            YEAR,
            "      - tip/sleep",
            "      - mood/reply",
            "33: step tips: its kind is tip but mood/reply is a reply",
        ),
        (
            YEAR,
            "check_ins: [weekly]",
            "check_ins: [none]",
            "24: step check: there is no check-in none; expected o",
        ),
        (
            YEAR,
            "kind: checkin",
            "kind: tip",
            "23: step check: it asks but is a tip; expected a checkin, checkup",
        ),
        (
            YEAR,
            "word: HARBOR",
            "word: STOP",
            "4: program first-year: 'stop' is a keyword too; expected another",
        ),
        (
            YEAR,
            "word: HARBOR",
            "word: Español",
            "4: program first-year: 'espanol' is a keyword too; expected an",
        ),
        (
            SHORT,
            "word: bridge",
            "word: Harbor",
            "4: program short-one: 'harbor' is program first-year too; expec",
        ),
        (
            SHORT,
            "word: bridge",
            "word: first year",
            "4: program short-one: 'first year' is program first-year too",
        ),
        (
            SHORT,
            "id: short-one",
            "id: first-year",
            "1: program first-year is there twice; expected an id of its",
        ),
        (YEAR, '"17:00"', "17:00", "22: step check: time is 1020; expected it in quotes, like '17:00'"),
        (
            YEAR,
            "    texts:\n      - tip/walk\n      - tip/sleep",
            "    topics: [move, spaceships]",
            "31: step tips: no tip is about 'spaceships'; expected a topic of texts/",
        ),
        (
            YEAR,
            "check_ins: [weekly]",
            "check_ins: [weekly]\n    nudge: [kind]",
            "25: step check: no nudge is about 'kind'; expected a topic of texts/",
        ),
        (
            YEAR,
            "steps:",
            'choices:\n  - {question: urgency, values: ["1"], topics: [move]}\nsteps:',
            "11: there is no question 'urgency'; expected one of check_ins/",
        ),
        (
            YEAR,
            "steps:",
            'step_up:\n  red:\n    - {question: mood, values: ["77"]}\nsteps:',
            "12: '77' is no answer to mood; expected some of its values",
        ),
        (YEAR, "weekdays: [MO]", "weekdays: MO", "19: step check: weekdays is 'MO'; expected a list"),
    ],
)
def test_a_fault_is_one_line_with_file_line_and_what_was_expected(
    root: Path, name: str, old: str, new: str, expected: str
) -> None:
    edit(root, name, old, new)
    fault = fault_of(root)
    assert "\n" not in fault
    assert expected in fault
    if expected[0].isdigit():
        assert fault.split(": ", 1)[0].rsplit(":", 1)[1] == expected.split(":", 1)[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "file"),
    [
        (TIPS, "version: 2", "version: x", "messages/texts/tips.yaml:3: "),
        (REPLIES, "version: 1", "version: x", "messages/texts/more/replies.yaml:2: "),
        (LINES, "kind: emergency", "kind: 7", "messages/hotlines.yaml:2: "),
        (WEEKLY, "version: 1", "version: x", "messages/check_ins/weekly.yaml:2: "),
        (YEAR, "version: 1", "version: x", "messages/programs/first-year.yaml:2: "),
        (WORDS, "pause_fillers: [for]", "pause_fillers: for", "messages/keywords.yaml:20: "),
    ],
)
def test_a_fault_names_the_file_it_is_in(root: Path, name: str, old: str, new: str, file: str) -> None:
    edit(root, name, old, new)
    assert fault_of(root).startswith(file)


def test_a_check_in_that_is_there_twice_is_refused(root: Path) -> None:
    shutil.copy(root / WEEKLY, root / "check_ins/zz.yaml")
    assert fault_of(root) == (
        "messages/check_ins/zz.yaml:1: check-in weekly is there twice; expected an id of its own"
    )


@pytest.mark.parametrize("name", [LINES, WORDS, STYLE, TIPS, WEEKLY, YEAR])
def test_an_empty_file_is_a_fault_and_not_a_crash(root: Path, name: str) -> None:
    (root / name).write_text("# nothing yet\n", encoding="utf-8")
    assert fault_of(root).startswith(f"messages/{name}:1: ")


@pytest.mark.parametrize("name", [LINES, WORDS, STYLE])
def test_a_missing_file_is_a_fault(root: Path, name: str) -> None:
    (root / name).unlink()
    assert fault_of(root) == f"messages/{name}:1: the file is missing; expected it to be there"


def test_a_file_that_would_be_ignored_is_a_fault(root: Path) -> None:
    (root / TIPS).rename(root / "texts/tips.yml")
    assert fault_of(root) == "messages/texts/tips.yml:1: .yml is never read; expected .yaml"


def test_a_file_in_another_encoding_is_a_fault(root: Path) -> None:
    (root / TIPS).write_bytes(FILES[TIPS].replace("un poco", "mañana").encode("latin-1"))
    assert fault_of(root) == "messages/texts/tips.yaml:1: the file has other bytes in it; expected UTF-8"


def test_a_file_saved_with_a_byte_order_mark_is_read(root: Path) -> None:
    (root / TIPS).write_bytes(FILES[TIPS].encode("utf-8-sig"))
    assert "tip/walk" in load_catalog(root).entries


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    assert fault_of(tmp_path / "messages") == "messages:1: there is no such folder; expected the messages"


def test_the_messages_lie_beside_the_package() -> None:
    assert (default_messages_path() / "keywords.yaml").is_file()


def test_a_bare_no_is_the_word_no_as_in_yaml_today(root: Path) -> None:
    edit(root, "keywords.yaml", '"no": {en: ["no"]}', "no: {en: [no]}")
    assert load_catalog(root).keywords.words["no"] is Keyword.NO
