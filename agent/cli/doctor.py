"""spotter doctor."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, json_option, print_json

if TYPE_CHECKING:
    from agent.doctor.finding import Finding

_SIGNS = {"fine": "OK  ", "warning": "WARN", "broken": "FAIL"}
_COLOURS = {"fine": "green", "warning": "yellow", "broken": "red"}
_WRONG_SETTINGS = 78


@click.command()
@config_option
@json_option
def doctor(config: Path | None, as_json: bool) -> None:
    """Check the whole station, and say how to fix problems.

    Exit codes: 0 no failure (there may be warnings), 1 at least one FAIL, 78 invalid settings.
    A daemon that is not running is a FAIL if its unit is enabled or if something is waiting for
    it, otherwise a WARN.
    """
    from agent.clock import read_clock
    from agent.doctor.finding import State, worst
    from agent.doctor.rounds import rounds
    from agent.settings import find_config

    path = find_config(config, os.environ)
    findings: list[Finding] = []
    for name, look in rounds(path, explicit=config, now=read_clock()):
        _say_under_way(name, quiet=as_json)
        found = look()
        _say_under_way("", quiet=as_json)
        findings += found
        if not as_json:
            for finding in found:
                _print(finding)
    state = worst(findings)
    if as_json:
        print_json({"worst": state, "checks": [_document(finding) for finding in findings]})
    else:
        _print_end(findings)
    if state is State.BROKEN:
        wrong = any(f.state is State.BROKEN and f.name == "settings" for f in findings)
        sys.exit(_WRONG_SETTINGS if wrong else 1)


def _document(finding: "Finding") -> dict[str, object]:
    return {
        "name": finding.name,
        "state": str(finding.state),
        "finding": finding.finding,
        "remedy": finding.remedy,
    }


def _say_under_way(name: str, *, quiet: bool) -> None:
    """Show in a terminal what is looked at, on a line that the findings take over."""
    if not quiet and sys.stdout.isatty():
        click.echo("\r\x1b[K" + (f"checking: {name}" if name else ""), nl=False)


def _print(finding: "Finding") -> None:
    sign = click.style(_SIGNS[finding.state], fg=_COLOURS[finding.state])
    click.echo(f"{sign} {finding.name:20} {finding.finding}")
    if finding.remedy:
        click.echo(f"{'':25} -> {finding.remedy}")


def _print_end(findings: "list[Finding]") -> None:
    from agent.plurals import counted

    counts = {state: sum(f.state == state for f in findings) for state in _SIGNS}
    warnings = counted(counts["warning"], "warning")
    told = f"{counts['broken']} failed, {warnings}, {counts['fine']} OK"
    click.echo(f"\n{told}")
    first = next((f for f in findings if str(f.state) == "broken"), None)
    if first is not None:
        click.echo(f"Fix this first, {first.name}: {first.remedy}")
