"""The operator's command line, `aftercare`. Each command opens what it needs; `--help` needs nothing."""

from __future__ import annotations

import click

from service.cli.campaigns import campaigns
from service.cli.check import check
from service.cli.coverage import coverage
from service.cli.keys import keys
from service.cli.meetings import meetings
from service.cli.messages import messages, why
from service.cli.output import OneLineGroup
from service.cli.people import participants
from service.cli.preview import preview
from service.cli.run import register_run_commands
from service.cli.service_commands import live, tasks
from service.cli.simulate import simulate
from service.cli.staff import staff


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A text line that stays with people through the first year after opioid treatment."""


for _command in (campaigns, keys, live, meetings, messages, participants, simulate, staff, tasks, why):
    main.add_command(_command)
for _command in (check, coverage, preview):
    messages.add_command(_command)
register_run_commands(main)
