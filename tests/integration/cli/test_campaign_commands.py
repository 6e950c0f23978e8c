"""`campaigns` and `participants zone` as an operator uses them."""

from __future__ import annotations

from pathlib import Path
from time import thread_time

import pytest

from tests.integration.cli.conftest import Cli

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "docs" / "campaigns").glob("*.yaml"))
NOTE = """
name: Note
kind: once
at: 2026-11-24 12:00
text: {en: "A note", es: "Una nota"}
"""
PEOPLE = """phone,timezone,language,consent,consent_at,consent_by
+12025550111,America/New_York,en,written,2026-11-20,desk
+12025550112,America/Los_Angeles,es,written,2026-11-20,desk
+12025550113,America/Chicago,en,verbal,2026-11-20,desk
"""


@pytest.fixture
def staffed(cli: Cli) -> Cli:
    assert cli.run("participants", "import", cli.file(PEOPLE)).exit_code == 0
    return cli


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_for_coordinators_can_be_created_and_previewed(staffed: Cli, path: Path) -> None:
    before = staffed.data("campaigns", "preview", str(path))
    created = staffed.data("campaigns", "create", str(path))
    again = staffed.data("campaigns", "create", str(path))

    assert (before["status"], created["result"], again["result"]) == ("not saved", "added", "unchanged")
    assert created["warnings"] == []
    assert len(EXAMPLES) == 3, "one of each kind"


def test_a_campaign_is_created_listed_previewed_paused_and_resumed(staffed: Cli) -> None:
    path = staffed.file(NOTE, "note.yaml")

    created = staffed.data("campaigns", "create", path)
    assert (created["result"], created["status"], created["people"]) == ("added", "active", 2)
    assert created["left_out"] == {"not_confirmed": 1}
    [row] = staffed.data("campaigns", "list")
    assert (row["name"], row["next_on"], row["times"]) == ("Note", "2026-11-24", ["12:00"])
    preview = staffed.data("campaigns", "preview", "Note")
    assert preview["next"][0]["people"] == 2
    assert staffed.data("campaigns", "pause", "Note")["status"] == "paused"
    changed = staffed.run("campaigns", "create", staffed.file(NOTE.replace("12:00", "13:00"), "note.yaml"))
    assert changed.exit_code == 0
    assert "paused and stays so" in changed.stderr
    assert staffed.data("campaigns", "resume", "Note")["status"] == "active"
    assert "Note" in staffed.run("campaigns", "list").stdout
    assert "2 people get the next text" in staffed.run("campaigns", "preview", "Note").stdout


def test_a_draft_is_kept_and_not_scheduled(staffed: Cli) -> None:
    created = staffed.data("campaigns", "create", staffed.file(NOTE, "note.yaml"), "--draft")

    assert (created["status"], staffed.data("campaigns", "list")[0]["status"]) == ("draft", "draft")
    assert "draft" in staffed.refusal("campaigns", "pause", "Note")


def test_a_time_that_has_passed_is_told_with_how_many_it_concerns(staffed: Cli) -> None:
    past = staffed.file(NOTE.replace("11-24", "11-21"), "note.yaml")

    result = staffed.run("campaigns", "create", past)

    assert result.exit_code == 0
    assert "for 2 people its time has passed" in result.stderr
    assert "passed already: 2026-11-21T12:00" in result.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (NOTE.replace("kind: once", "kind: never"), "note.yaml:3: campaign: kind is 'never'"),
        (NOTE + "colour: red\n", "note.yaml:6: campaign: unknown key 'colour'"),
        (NOTE.replace("Una nota", "Una {nota}"), "note.yaml:5: {nota} is nothing we can fill in"),
        ("name: [", "note.yaml:"),
        ("", "note.yaml:1:"),
        ("- a\n- b\n", "note.yaml:1:"),
        ("name: a\nname: b\n", "note.yaml:2: the key name is there twice"),
        (b"\xff\xfe\x00", "note.yaml:1:"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line_and_nothing_is_stored(
    staffed: Cli, content: str | bytes, says: str
) -> None:
    line = staffed.refusal("campaigns", "create", staffed.file(content, "note.yaml"))

    assert line.startswith(says)
    assert staffed.data("campaigns", "list") == []


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))])
STEP = "  - {{day: {}, time: '10:00', template: tip/sleep-wind-down}}\n"
STEPS = "name: Long\nkind: sequence\nsteps:\n"
NAME, WORDS = "name: Note", "A note"
HOSTILE = [
    (BOMB, "note.yaml:1: it has an anchor (&)", "every level doubles what is below"),
    (NOTE.replace(NAME, "name: &n Note"), "note.yaml:2: it has an anchor", "an anchor alone, too"),
    (NOTE.replace(NAME, "name: *n"), "note.yaml:2: it has an alias (*)", "an alias of nothing"),
    (
        NOTE + "x: " + "[" * 5_000 + "]" * 5_000,
        "note.yaml:6: it is nested",
        "deeper than a program can follow",
    ),
    ("{a: " * 5_000, "note.yaml:1: it is nested", "not even closed"),
    (NOTE + "x: [" + "y, " * 20_000 + "]", "note.yaml:6: there is too much in it", "many values"),
    ("# " + "x" * 200_000, "note.yaml: it is larger than 200 kilobytes", "many bytes"),
    (STEPS + STEP.format(1) * 3_000, "note.yaml:", "thousands of steps"),
    (
        STEPS + "  - 5\n" * 401,
        "note.yaml:3: campaign: there are 401 steps",
        "too many is said before what is wrong",
    ),
    (NOTE.replace(WORDS, "A \\u0007 note"), "note.yaml:5: it has the character U+0007", "a bell"),
    (
        NOTE.replace(WORDS, "A \\u009f note"),
        "note.yaml:5: it has the character U+009F",
        "a control of Latin 1",
    ),
    (NOTE.replace(WORDS, "A \\ud800 note"), "note.yaml:5: it has the character U+D800", "half a character"),
    (NOTE.replace(WORDS, "A \a note"), "note.yaml:5: special characters are not allowed", "a bell as a byte"),
    (NOTE + 'audience: {tags: ["a\\0"]}', "note.yaml:6: it has the character U+0000", "in a tag"),
    (
        NOTE.replace("Note", "0x" + "f" * 5_000),
        "note.yaml:2: a value has 5002 characters",
        "an endless number",
    ),
    (
        NOTE.replace("at: ", "at: !!timestamp x"),
        "note.yaml:4: it has a type (!)",
        "a value that calls itself a date",
    ),
]


@pytest.mark.parametrize(("content", "says", "reason"), HOSTILE, ids=[row[2] for row in HOSTILE])
@pytest.mark.parametrize("command", ["create", "preview"])
def test_a_file_made_to_do_harm_is_refused_in_a_moment(
    staffed: Cli, command: str, content: str, says: str, reason: str
) -> None:
    started = thread_time()

    line = staffed.refusal("campaigns", command, staffed.file(content, "note.yaml"))

    assert thread_time() - started < 2, reason
    assert line.startswith(says), reason
    assert len(line) < 200
    assert staffed.data("campaigns", "list") == []


def test_words_over_many_lines_and_the_longest_sequence_are_taken(staffed: Cli) -> None:
    lines = NOTE.replace(
        'text: {en: "A note", es: "Una nota"}', "text:\n  en: |\n    A\n    note\n  es: Una nota 🙂"
    )
    steps = "".join(STEP.format(day) for day in range(1, 366)) + "".join(
        STEP.format(day).replace("10:00", "11:00") for day in range(1, 36)
    )

    assert staffed.data("campaigns", "create", staffed.file(lines, "note.yaml"))["result"] == "added"
    assert staffed.data("campaigns", "create", staffed.file(STEPS + steps, "long.yaml"))["result"] == "added"


def test_a_file_that_is_not_there_is_refused_and_a_name_that_nobody_has(staffed: Cli) -> None:
    assert "no such file" in staffed.refusal("campaigns", "create", "nowhere.yaml")
    assert "no such file" in staffed.refusal("campaigns", "preview", "nowhere.yaml")
    for command in ("preview", "pause", "resume"):
        assert "no campaign of that name" in staffed.refusal("campaigns", command, "Nobody")


def test_a_person_moves_to_another_zone(staffed: Cli) -> None:
    moved = staffed.data("participants", "zone", "+12025550111", "Pacific/Honolulu")
    again = staffed.data("participants", "zone", "+12025550111", "Pacific/Honolulu")

    assert (moved["result"], again["result"]) == ("moved", "unchanged")
    assert staffed.data("participants", "show", "+12025550111")["timezone"] == "Pacific/Honolulu"
    assert "IANA" in staffed.refusal("participants", "zone", "+12025550111", "EST")
    staffed.refusal("participants", "zone", "+12025550199", "Pacific/Honolulu")
