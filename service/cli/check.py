"""`aftercare messages check`: read the texts as a strict editor would."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from service.catalog import default_messages_path
from service.cli.output import FAULT, emit, say
from service.store.clock import system_clock
from service.usecases.operations.check_texts import TextFinding, check_texts

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", required=False, metavar="[FOLDER]", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.pass_context
def check(ctx: click.Context, folder: Path | None, as_json: bool) -> None:
    """Everything that is wrong with the texts, each with its file and line. Exit 1 for an error.

    Warnings are things to look at and never a failure. FOLDER is another copy of messages/. Needs no settings
    and no database: whoever edits texts may have neither.
    """
    findings = check_texts((folder or default_messages_path()).resolve(), system_clock())
    if as_json:
        emit([asdict(finding) for finding in findings], True, str)
    else:
        emit(findings, False, _line)
    count = Counter(finding.severity.value for finding in findings)
    say(f"{_many(count['error'], 'error')}, {_many(count['warning'], 'warning')}")
    if count["error"]:
        ctx.exit(FAULT)


def _line(finding: TextFinding) -> str:
    what = [part for part in (finding.id, finding.wording, finding.problem) if part]
    place = f"{finding.file}:{finding.line}"
    return f"{place}: {': '.join(what)} [{finding.severity}: {finding.rule}]"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
