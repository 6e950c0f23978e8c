"""Commands about texts: look at the catalog, and at what became of one message."""

from __future__ import annotations

from typing import Any

import click

from service.catalog import default_messages_path, load_catalog
from service.cli.output import ROW_ID, CliError, emit, find_operator, open_runtime, say
from service.store.clock import system_clock
from service.usecases.operations.explain_message import explain_message
from service.usecases.operations.preview_texts import NoTextError, list_warnings, preview_text


@click.group()
def messages() -> None:
    """The catalog of texts."""


@messages.command("preview")
@click.argument("text_id", metavar="[TEXT_ID]", required=False)
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True)
@click.option("--plain", is_flag=True, help="The wording for people who chose plain words.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list without TEXT_ID.")
def preview(text_id: str | None, language: str, plain: bool, as_json: bool) -> None:
    """A text as it would be sent, with its longest example values, and what it costs; without an id, all."""
    with open_runtime(migrated=False) as runtime:
        context = runtime.context
        if text_id is None:
            ids = sorted(context.catalog.entries)
            texts = [preview_text(context, each, language, is_plain=plain) for each in ids]
            emit(texts, as_json, lambda text: _preview_lines(text) + "\n")
            return
        try:
            data = preview_text(context, text_id, language, is_plain=plain)
        except NoTextError as error:
            raise CliError(str(error)) from None
    emit(data, as_json, _preview_lines)


def _preview_lines(data: dict[str, Any]) -> str:
    plural = "" if data["segments"] == 1 else "s"
    cost = f"{data['segments']} segment{plural}, {data['units']} units, {data['encoding']}"
    costly = f"; costly characters: {' '.join(data['costly'])}" if data["costly"] else ""
    return f"{data['body']}\n({data['id']}, version {data['version']}, {data['language']}: {cost}{costly})"


@messages.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def check(as_json: bool) -> None:
    """Load the catalog as the service does, and list what keeps it from going live. Exit 2 for a fault.

    Needs no settings and no database: whoever edits texts may have neither.
    """
    rows = list_warnings(load_catalog(default_messages_path()), system_clock())
    emit(rows, as_json, lambda row: f"{row['check']}: {row['problem']}")
    if not rows:
        say("the catalog is in order")


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
