"""Commands about texts: look at the catalog, and at what became of one message."""

from __future__ import annotations

from typing import Any

import click

from service.cli.output import ROW_ID, emit, find_operator, open_runtime
from service.usecases.operations.explain_message import explain_message


@click.group()
def messages() -> None:
    """The catalog of texts."""


@click.command("why")
@click.argument("message_id", type=ROW_ID, metavar="MESSAGE_ID")
@click.option("--show-text", is_flag=True, help="Show the words too; that is recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def why(message_id: int, show_text: bool, as_json: bool) -> None:
    """The trail of one message: what it was for, every step with its reason, every try."""
    with open_runtime() as runtime:
        data = explain_message(
            runtime.context, message_id, find_operator(), runtime.clock(), show_text=show_text
        )
    emit(data, as_json, _trail_lines)


def _trail_lines(data: dict[str, Any]) -> str:
    lines = [
        f"message {data['id']}: {data['kind']} {data['text']} for participant {data['participant_id']}",
        f"purpose: {data['planned_for']}",
        f"planned {_when(data['planned'])}, not before {_when(data['not_before'])}, "
        f"not after {_when(data['not_after'])}",
    ]
    for event in data["events"]:
        detail = f" ({event['detail']})" if event["detail"] else ""
        lines.append(
            f"{_when(event['at'])}  {event['from'] or '-'} -> {event['to']}: {event['explanation']}{detail}"
        )
    for attempt in data["attempts"]:
        code = f", code {attempt['error_code']}" if attempt["error_code"] else ""
        lines.append(f"{_when(attempt['started'])}  try {attempt['number']}: {attempt['outcome']}{code}")
    lines.append(f"now {data['state']}: {data['explanation']}")
    if "body" in data:
        lines.append(f"text: {data['body'] if data['body'] is not None else '(not written yet, or erased)'}")
    return "\n".join(lines)


def _when(time: dict[str, str] | None) -> str:
    return "-" if time is None else f"{time['local']} ({time['utc']})"
