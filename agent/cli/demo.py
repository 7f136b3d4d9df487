"""spotter demo."""

import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, console

if TYPE_CHECKING:
    from rich.console import Console

    from agent.demo import Outcome
    from agent.outbox.results.record import Number

_WORDS = {
    "film": "camera records an animated athlete",
    "take in": "file complete, hashed, ingested",
    "analyse": "take found by pose estimation",
    "cut": "clip cut, frame-accurate",
    "deliver": "clip uploaded to the API",
    "analysed": "session analysed, metrics and video downloaded",
}


@click.command()
@click.option("--keep", is_flag=True, help="Keep the station running until Ctrl-C.")
@config_option
def demo(keep: bool, config: Path | None) -> None:  # noqa: ARG001  # every command takes --config; the demo makes its own
    """Run the full pipeline once, offline.

    Records an animated athlete, cuts the clip, uploads it to a local sandbox of the API and
    downloads the analysis.
    """
    from agent.demo import STAGES, demonstration

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the daemon too
    out = console()
    ended: Path | None = None  # a station that was left running, and is no more
    out.print("[bold]Spotter[/bold] demo: only the athlete and the API are simulated\n")
    with _Stages(out, STAGES) as stages, demonstration(stages.tell, keep=keep) as outcome:
        stages.close()
        _show(out, outcome)
        if not keep:
            out.print("\nThese files are kept until the next demo.")
            out.print(f"To see the coach's page: {own_command()} demo --keep")
            out.print("To install it: sudo systemd/install.sh (docs/install.md)")
        else:
            out.print(f"\nCoach's page: [bold]{outcome.page}[/bold]")
            out.print("The station keeps running.  Put a video into its capture folder:")
            folder = outcome.clip.parents[2]
            out.print(f"  {folder / 'capture'}\nRun any command on it in another terminal:")
            out.print(f"  {own_command()} status --config {folder / 'station.toml'}")
            out.print("Ctrl-C stops it.")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            ended = outcome.clip.parents[2]
    if ended is not None:
        shutil.rmtree(ended)


def own_command() -> str:
    """Return how this command line is called from here: in a clone it is on no path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m agent"
    on_path = shutil.which(called.name)
    if on_path is not None and Path(on_path).resolve() == called.resolve():
        return called.name
    is_below = called.is_absolute() and called.is_relative_to(Path.cwd())
    return str(called.relative_to(Path.cwd()) if is_below else called)


class _Stages:
    """The stages as they happen: progress bars in a terminal, one line each when piped."""

    def __init__(self, out: "Console", names: tuple[str, ...]) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._out = out
        self._done: set[str] = set()
        self._began_s = time.monotonic()
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.description:40}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            console=out,
            disable=not out.is_terminal,
        )
        self._bars = {
            name: self._progress.add_task(_WORDS[name], total=1.0, start=False) for name in names
        }

    def tell(self, name: str, share: float) -> None:
        """Show how far a stage is."""
        if name in self._done:
            return
        self._progress.start_task(self._bars[name])
        self._progress.update(self._bars[name], completed=share)
        if share >= 1.0:
            self._done.add(name)
            self._start_next()
            if not self._out.is_terminal:
                self._out.print(f"{time.monotonic() - self._began_s:6.1f} s  {_WORDS[name]}")

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def __enter__(self) -> "_Stages":
        self._progress.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self.close()

    def _start_next(self) -> None:
        waiting = [name for name in self._bars if name not in self._done]
        if waiting:
            self._progress.start_task(self._bars[waiting[0]])
            self._progress.update(self._bars[waiting[0]], total=None)


def _show(out: "Console", outcome: "Outcome") -> None:
    """Show what the API made, and what trimming saved."""
    from rich.markup import escape

    from agent.cli.words import size_words

    session, fields = outcome.session, outcome.session.fields
    saved_s = outcome.capture_seconds - outcome.clip_seconds
    saved_bytes = outcome.capture_bytes - outcome.clip_bytes
    facts = {
        "session": f"[bold]{session.session_id}[/bold]",
        "title": escape(session.title),
        "athlete": session.user_id,
        "movement": f"{fields['exercise_name']}, {fields['barbell_mass']} kg",
        "sha256": f"{session.video_sha256[:16]}…, identical here and at the API",
        "saved": f"{saved_s:.1f} s of {outcome.capture_seconds:.1f} s and "
        f"{size_words(saved_bytes)} of {size_words(outcome.capture_bytes)}",
        "metrics": ", ".join(_numbers(outcome.numbers)),
        "clip": str(outcome.clip),
        "poster": str(outcome.poster),
        "analysis": str(outcome.document),
        "video": str(outcome.video),
    }
    out.print()
    for name, words in facts.items():
        out.print(f"{name:10} {words}")


def _numbers(numbers: "Mapping[str, Number]") -> "Iterator[str]":
    """Yield what was measured, as the API names it."""
    from rich.markup import escape

    for name, value in numbers.items():
        yield escape(f"{name} {value}")
