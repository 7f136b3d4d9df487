"""spotter drill."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, console, json_option, print_json
from agent.errors import AgentError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.drill.card import Card, Line
    from agent.drill.faults import Rehearsal


@click.command()
@config_option
@json_option
def drill(config: Path | None, as_json: bool) -> None:  # noqa: ARG001  # every command takes --config; the drill makes its own
    """Run fault-injection self-tests (about two minutes).

    The real daemon runs against a local sandbox of the API in a temporary folder.  The
    station's own folders, settings and key are not touched, whether its daemon runs or not.
    """
    from agent.drill.card import run_drill

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the drill's daemon too
    progress = _Progress(console(), quiet=as_json)
    card = run_drill(progress.begin, progress.enter)
    progress.close()
    if as_json:
        print_json(_document(card))
    else:
        held = sum(line.held for line in card.lines)
        click.echo(f"\n{held} of {len(card.lines)} passed in {card.seconds:.0f} s")
    if not card.held:
        raise AgentError("fault-injection self-tests failed", hint=f"logs and files: {card.folder}")


class _Progress:
    """What is rehearsed now, and a line for each that is over."""

    def __init__(self, out: "Console", *, quiet: bool) -> None:
        from rich.status import Status

        self._out = out
        self._quiet = quiet
        self._status = Status("", console=out) if out.is_terminal and not quiet else None
        if self._status is not None:
            self._status.start()

    def begin(self, rehearsal: "Rehearsal") -> None:
        """Show what is under way."""
        if self._status is not None:
            self._status.update(rehearsal.done)

    def enter(self, line: "Line") -> None:
        """Show how it ended."""
        from rich.markup import escape

        if self._quiet:
            return
        mark = "[green]PASS[/green]" if line.held else "[red]FAIL[/red]"
        self._out.print(f"{mark} {line.seconds:5.1f} s  {escape(line.done)}")
        self._out.print(f"              [dim]{escape(line.detail or line.holds)}[/dim]")

    def close(self) -> None:
        """Show nothing any more."""
        if self._status is not None:
            self._status.stop()


def _document(card: "Card") -> dict[str, object]:
    return {
        "held": card.held,
        "seconds": round(card.seconds, 1),
        "folder": None if card.folder is None else str(card.folder),
        "faults": [
            {
                "name": line.name,
                "done": line.done,
                "holds": line.holds,
                "held": line.held,
                "seconds": round(line.seconds, 2),
                "detail": line.detail,
            }
            for line in card.lines
        ],
    }
