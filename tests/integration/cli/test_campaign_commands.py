"""`campaigns` and `participants zone` as an operator uses them."""

from __future__ import annotations

from pathlib import Path

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
