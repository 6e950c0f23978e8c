"""Commands about the service as a whole: live mode and the staff list."""

from __future__ import annotations

from typing import Any

import click

from service.cli.output import ROW_ID, emit, find_operator, open_runtime, say
from service.usecases.operations.live_mode import go_live, go_trial, read_live
from service.usecases.operations.staff_tasks import close_task, list_tasks

HELP_TEXT_CHECK = "provider-help-text"


@click.command("live")
@click.argument("action", type=click.Choice(["on", "off", "status"]))
@click.option("--force", is_flag=True, help="With on: go live although checks fail, and say which.")
@click.option("--help-text-checked", is_flag=True, help="With on: the provider's HELP text names 988.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def live(action: str, force: bool, help_text_checked: bool, as_json: bool) -> None:
    """Leave or enter trial mode, in which only listed staff numbers are texted."""
    with open_runtime() as runtime:
        now, by = runtime.clock(), find_operator()
        if action == "on":
            confirmed = frozenset({HELP_TEXT_CHECK}) if help_text_checked else frozenset()
            for check in go_live(runtime.context, by, now, force=force, confirmed=confirmed):
                say(f"skipped {check.name}: {check.problem}")
        elif action == "off":
            go_trial(runtime.context, by, now)
        status = read_live(runtime.context, now)
    if action == "off" and status["mode"] == "live":
        say("noted, but the simulator knows no trial mode: it reaches nobody real")
    emit(status, as_json, _status_lines)


def _status_lines(status: dict[str, Any]) -> str:
    lines = [f"mode: {status['mode']} ({status['transport']})"]
    if status["skipped"]:
        lines.append(f"skipped when going live: {', '.join(status['skipped'])}")
    if status["sending_blocked"]:
        lines.append(f"unprompted texts are stopped: {status['sending_blocked']}")
    for check in status["checks"]:
        lines.append(f"{check['name']}: {check['problem'] or 'ok'}")
    return "\n".join(lines)


@click.group()
def tasks() -> None:
    """The staff list: what waits for a human."""


@tasks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def tasks_list(as_json: bool) -> None:
    """Open tasks, oldest first."""
    with open_runtime() as runtime:
        rows = list_tasks(runtime.context, runtime.clock())
    if not rows:
        say("nothing waits")
    emit(rows, as_json, _task_line)


def _task_line(row: dict[str, Any]) -> str:
    whose = f"participant {row['participant_id']}" if row["participant_id"] else "no participant"
    return f"{row['id']}  {row['kind']}  {row['reason']}  {row['age_minutes']} min  {whose}"


@tasks.command("close")
@click.argument("task_id", type=ROW_ID, metavar="ID")
@click.option("--outcome", required=True, help="What was done, such as called.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def tasks_close(task_id: int, outcome: str, as_json: bool) -> None:
    """Take a task off the list. Safe to repeat."""
    with open_runtime() as runtime:
        is_closed_now = close_task(runtime.context, task_id, outcome, find_operator(), runtime.clock())
    result = "closed" if is_closed_now else "was closed before"
    emit({"id": task_id, "result": result}, as_json, lambda row: f"task {row['id']}: {row['result']}")
