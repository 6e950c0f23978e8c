"""Commands about campaigns: texts that staff schedule for an audience."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from service.catalog.yaml_files import YamlFile, read_given_file
from service.cli.output import CliError, emit, find_operator, open_runtime, say, say_each, show_progress
from service.usecases.campaigns.preview_campaign import list_all_campaigns, preview_campaign, preview_file
from service.usecases.campaigns.save_campaign import Saved, save_campaign
from service.usecases.campaigns.switch_campaign import pause_campaign, resume_campaign

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


@click.group()
def campaigns() -> None:
    """Texts for an audience: once, again and again, or as a sequence of days."""


@campaigns.command("create")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--draft", "is_draft", is_flag=True, help="Save it, and send nothing yet.")
@as_json_option
def create(file: Path, is_draft: bool, as_json: bool) -> None:
    """Save the campaign in FILE (YAML) under its name and schedule it. Safe to repeat.

    A changed file takes back what its older version planned; an unchanged one changes nothing.
    """
    content = _read(file)
    with open_runtime() as runtime, show_progress("looked at") as report:
        now = runtime.clock()
        saved = save_campaign(runtime.context, content, find_operator(), now, is_draft=is_draft)
        preview = preview_campaign(runtime.context, saved.name, now, report)
    say_each([f"{file.name}: {warning}" for warning in saved.warnings])
    data = _saved_data(saved) | {key: preview[key] for key in ("people", "left_out", "next", "passed")}
    _say_what_will_not_go(data)
    emit(data, as_json, _saved_line)


def _say_what_will_not_go(data: dict[str, Any]) -> None:
    if data["status"] == "paused":
        say(f"it is paused and stays so; `aftercare campaigns resume '{data['name']}'` goes on with it")
    past = data["left_out"].get("past", 0) + data["left_out"].get("too_late", 0)
    if past:
        say(f"for {past} people its time has passed: they will not get it")
    sent = data["left_out"].get("already_sent", 0)
    if sent:
        say(f"{sent} people have it already and will not get it again; another name would send it anew")


def _saved_data(saved: Saved) -> dict[str, Any]:
    return {
        "name": saved.name,
        "result": str(saved.outcome),
        "status": str(saved.status),
        "version": saved.version,
        "taken_back": saved.taken_back,
        "warnings": list(saved.warnings),
    }


def _saved_line(data: dict[str, Any]) -> str:
    line = f"{data['name']}: {data['result']}, {data['status']}, version {data['version']}"
    if data["taken_back"]:
        line += f"; taken back for {data['taken_back']} people"
    return f"{line}\n{_preview_lines(data)}" if "people" in data else line


@campaigns.command("list")
@as_json_option
def list_command(as_json: bool) -> None:
    """Every campaign, with its status and its next date."""
    with open_runtime() as runtime:
        rows = list_all_campaigns(runtime.context, runtime.clock())
    emit(rows, as_json, _line)


def _line(row: dict[str, Any]) -> str:
    following = f"next {row['next_on']}" if row["next_on"] else "by day of the program"
    if row["next_on"] is None and row["kind"] != "sequence":
        following = "nothing ahead"
    return f"{row['name']}  {row['kind']}  {row['status']}  {following}  {', '.join(row['times'])}"


@campaigns.command("preview")
@click.argument("name_or_file")
@as_json_option
def preview(name_or_file: str, as_json: bool) -> None:
    """Who gets the next text, when, and who does not and why. A name or a FILE.yaml; changes nothing."""
    is_file = name_or_file.endswith((".yaml", ".yml"))
    content = _read(Path(name_or_file)) if is_file else None
    with open_runtime() as runtime, show_progress("looked at") as report:
        if content is None:
            data = preview_campaign(runtime.context, name_or_file, runtime.clock(), report)
        else:
            data = preview_file(runtime.context, content, runtime.clock(), report)
    say_each(data.get("warnings", []))
    emit(data, as_json, lambda row: f"{row['name']}: {row['kind']}, {row['status']}\n{_preview_lines(row)}")


def _preview_lines(data: dict[str, Any]) -> str:
    lines = [f"{data['people']} people get the next text"]
    lines += [f"  {one['local']} local time: {one['people']}" for one in data["next"]]
    lines += [f"{count} do not: {reason.replace('_', ' ')}" for reason, count in data["left_out"].items()]
    if data["passed"]:
        lines.append(f"passed already: {', '.join(data['passed'])}")
    return "\n".join(lines)


@campaigns.command("pause")
@click.argument("name")
@as_json_option
def pause(name: str, as_json: bool) -> None:
    """Say nothing of a campaign until it is resumed; what waits is taken back. Safe to repeat."""
    with open_runtime() as runtime:
        saved = pause_campaign(runtime.context, name, find_operator(), runtime.clock())
    emit(_saved_data(saved), as_json, _saved_line)


@campaigns.command("resume")
@click.argument("name")
@as_json_option
def resume(name: str, as_json: bool) -> None:
    """Go on with a paused campaign. What passed meanwhile is listed and not sent. Safe to repeat."""
    with open_runtime() as runtime, show_progress("looked at") as report:
        now = runtime.clock()
        saved = resume_campaign(runtime.context, name, find_operator(), now)
        preview = preview_campaign(runtime.context, saved.name, now, report)
    data = _saved_data(saved) | {key: preview[key] for key in ("people", "left_out", "next", "passed")}
    emit(data, as_json, _saved_line)


def _read(path: Path) -> YamlFile:
    """Read a campaign file. Raises CliError and CatalogError without its content."""
    if not path.is_file():
        raise CliError(f"{path.name}: there is no such file; check the path")
    return read_given_file(path)
