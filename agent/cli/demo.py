"""The commands `demo`, `drill` and `sandbox`."""

import contextlib
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.status import Status

from agent.cli import end_after
from agent.cli.common import WholeNumber, config_option, console, print_json, standard_options
from agent.cli.formatting import size_words
from agent.demo import (
    ATHLETE,
    STAGES,
    DemoResult,
    LiveStation,
    LiveStep,
    demonstration,
    live_demonstration,
)
from agent.drill import DrillReport, Scenario, ScenarioResult, run_drill
from agent.errors import AgentError, BusyError, RequestError
from agent.facility_demo import facility_demonstration
from agent.sandbox.account import parse_span, roster
from agent.sandbox.faults import GROUPS, PLACES, STATUS, STATUS_OPTIONS
from agent.sandbox.server import Sandbox, serve

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
@click.option(
    "--live",
    is_flag=True,
    help="A whole station: the recorder films the athlete live, and an assignment arms it.  In a "
    "terminal until Ctrl-C, elsewhere until the first take is analysed.",
)
@click.option(
    "--facility",
    is_flag=True,
    help="A hub, three stations and two workers; the broker is killed in between.",
)
@config_option
def demo(keep: bool, live: bool, facility: bool, config: Path | None) -> None:  # noqa: ARG001  # every command takes --config; the demo makes its own
    """Run the full pipeline once, offline.

    Records an animated athlete, cuts the clip, uploads it to a local sandbox of the API and
    downloads the analysis.
    """

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the daemon too
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # the terminal was closed
    out = console()
    if live and facility:
        raise click.UsageError("--live and --facility are different demos")
    if live:
        _film_live(out, keep=keep)
        return
    if facility:
        _show_facility(out, keep=keep)
        return
    ended: Path | None = None  # a station that was left running, and is no more
    out.print("[bold]Spotter[/bold] demo: only the athlete and the API are simulated\n")
    with _Stages(out, STAGES) as stages, demonstration(stages.tell, keep=keep) as outcome:
        stages.close()
        _show(out, outcome)
        if not keep:
            out.print("\nThese files are kept until the next demo.")
            out.print(f"To see the coach's page: {own_command()} demo --keep")
            out.print("To install it: docs/install.md")
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


def _show_facility(out: Console, *, keep: bool) -> None:
    """Run a facility through a training, and say its outcome."""
    out.print("[bold]Spotter[/bold] facility: only the athletes and the API are simulated\n")
    begun_s = time.monotonic()

    def say(words: str) -> None:
        out.print(f"{time.monotonic() - begun_s:6.1f} s  {escape(words)}", highlight=False)

    with facility_demonstration(say) as result:
        out.print(
            f"\n[green]✓[/green] {result.takes} takes of {result.stations} stations, each "
            f"delivered exactly once; {result.by_workers} analysed by workers",
            highlight=False,
        )
        if keep:
            out.print(f"\nBoard: [bold]{result.page}[/bold]\nCtrl-C stops it.", highlight=False)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    if keep:
        shutil.rmtree(result.folder)
    else:
        out.print(f"These files are kept until the next demo: {result.folder}", highlight=False)


_LIVE_WORDS = {
    LiveStep.WATCHING: "camera connected; nobody is on the station: pictures stay in memory",
    LiveStep.RECORDING: "an athlete is on the station: the recorder films",
    LiveStep.ON_CARD: "on its card",
    LiveStep.HELD: "held for review",
    LiveStep.DELIVERED: "delivered to the sandbox of the API",
    LiveStep.ANALYSED: "analysed",
}
_LIVE_WITHIN_S = 120.0  # from one step to the next, where no person decides when that is


def _film_live(out: Console, *, keep: bool) -> None:
    """Run a whole station: for a person until Ctrl-C, else until a take is analysed."""
    out.print("[bold]Spotter[/bold] live: only the athlete and the API are simulated\n")
    begun_s, ends = time.monotonic(), not (out.is_terminal or keep)
    ignored = () if ends else (KeyboardInterrupt,)
    with contextlib.suppress(*ignored), live_demonstration() as station:
        for event in station.events(within_s=None if out.is_terminal else _LIVE_WITHIN_S):
            words = _LIVE_WORDS[event.step]
            if event.clip_code:
                words = f"take {event.clip_code} {words}, {event.after_s:.1f} s after the movement"
                words += f": {event.reason}" * bool(event.reason)
            out.print(f"{time.monotonic() - begun_s:6.1f} s  {words}", highlight=False)
            if event.step is LiveStep.WATCHING:
                _put_on_station(out, station, by_itself=not out.is_terminal)
            if ends and event.step is LiveStep.ANALYSED:
                out.print(f"\nThese files are kept until the next demo: {station.folder}")
                break


def _put_on_station(out: Console, station: LiveStation, *, by_itself: bool) -> None:
    """Have an athlete assigned: by the person who is there, or else without one."""
    if by_itself:
        station.assign()
        return
    out.print(f"\nCoach's page: [bold]{station.page}[/bold]", highlight=False)
    out.print(f"Valid once, in another browser: {station.pairing_link()}", highlight=False)
    out.print("Put an athlete on the station there, or in another terminal:")
    out.print(f"  {own_command()} assign {ATHLETE} --config {station.config}", soft_wrap=True)
    out.print("Each snatch of the animated athlete becomes a take. Ctrl-C ends it.\n")


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

    def __init__(self, out: Console, names: tuple[str, ...]) -> None:
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


def _show(out: Console, outcome: DemoResult) -> None:
    """Show what the API made, and what trimming saved."""

    session, fields = outcome.session, outcome.session.fields
    saved_s = outcome.capture_seconds - outcome.clip_seconds
    saved_bytes = outcome.capture_bytes - outcome.clip_bytes
    facts = {
        "session": f"[bold]{session.session_id}[/bold]",
        "title": escape(session.title),
        "athlete": session.user_id,
        "exercise": f"{fields['exercise_name']}, {fields['barbell_mass']} kg",
        "sha256": f"{session.video_sha256[:16]}…, identical here and at the API",
        "saved": f"{saved_s:.1f} s of {outcome.capture_seconds:.1f} s and "
        f"{size_words(saved_bytes)} of {size_words(outcome.capture_bytes)}",
        "metrics": ", ".join(escape(f"{name} {value}") for name, value in outcome.numbers.items()),
        "clip": str(outcome.clip),
        "poster": str(outcome.poster),
        "analysis": str(outcome.document),
        "video": str(outcome.video),
    }
    out.print()
    for name, words in facts.items():
        out.print(f"{name:10} {words}")


@click.command()
@standard_options
def drill(config: Path | None, as_json: bool) -> None:  # noqa: ARG001  # every command takes --config; the drill makes its own
    """Run fault-injection self-tests (about two minutes).

    The real daemon runs against a local sandbox of the API in a temporary folder.  The
    station's own folders, settings and key are not touched, whether its daemon runs or not.
    """

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the drill's daemon too
    progress = _Progress(console(), quiet=as_json)
    card = run_drill(progress.begin, progress.enter)
    progress.close()
    if as_json:
        print_json(_document(card))
    else:
        held = sum(line.detail is None for line in card.lines)
        click.echo(f"\n{held} of {len(card.lines)} passed in {card.seconds:.0f} s")
    if not card.held:
        end_after(
            AgentError("fault-injection self-tests failed", hint=f"logs and files: {card.folder}")
        )


class _Progress:
    """What is rehearsed now, and a line for each that is over."""

    def __init__(self, out: Console, *, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet
        self._status = Status("", console=out) if out.is_terminal and not quiet else None
        if self._status is not None:
            self._status.start()

    def begin(self, rehearsal: Scenario) -> None:
        """Show what is under way."""
        if self._status is not None:
            self._status.update(rehearsal.done)

    def enter(self, line: ScenarioResult) -> None:
        """Show how it ended."""

        if self._quiet:
            return
        mark = "[green]PASS[/green]" if line.detail is None else "[red]FAIL[/red]"
        self._out.print(f"{mark} {line.seconds:5.1f} s  {escape(line.scenario.done)}")
        self._out.print(f"              [dim]{escape(line.detail or line.scenario.holds)}[/dim]")

    def close(self) -> None:
        """Show nothing any more."""
        if self._status is not None:
            self._status.stop()


def _document(card: DrillReport) -> dict[str, object]:
    return {
        "held": card.held,
        "seconds": round(card.seconds, 1),
        "folder": None if card.folder is None else str(card.folder),
        "faults": [
            {
                "name": line.scenario.name,
                "done": line.scenario.done,
                "holds": line.scenario.holds,
                "held": line.detail is None,
                "seconds": round(line.seconds, 2),
                "detail": line.detail,
            }
            for line in card.lines
        ],
    }


EXAMPLES = (
    ("spotter sandbox", "no faults"),
    ("spotter sandbox --fault 503", "the first upload fails with 503"),
    ("spotter sandbox --fault lost-answer*3", "three responses are lost"),
    ("spotter sandbox --fault 401@any*always", "every request is rejected (401)"),
)
_FORM = """\
WHAT[:OPTION,...][@PLACE][*COUNT].  It happens once, COUNT times or always, where its group
says or at PLACE: {places}.  Every fault accepts after=N: the first N requests pass.
"""


class _WithFaults(click.Command):
    """A command whose help begins with examples and ends with the faults."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        with formatter.section("Examples"):
            formatter.write_dl(EXAMPLES, col_max=40)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("A FAULT"):
            formatter.write_text(_FORM.format(places=", ".join(PLACES)))
        with formatter.section("A status code as the response, to an upload or at a PLACE"):
            options = [(f"STATUS:{option}", words) for option, words in STATUS_OPTIONS.items()]
            formatter.write_dl([("STATUS", STATUS.words), *options])
        for group in GROUPS:
            with formatter.section(group.title):
                formatter.write_dl([(k.form(name), k.words) for name, k in group.kinds.items()])
        super().format_epilog(ctx, formatter)


@click.command(cls=_WithFaults)
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    metavar="N",
    default=8765,
    show_default=True,
    help="0: any free port.",
)
@click.option("--key", default="sandbox-key", show_default=True, help="The accepted API key.")
@click.option(
    "--role",
    type=click.Choice(["admin", "subadmin", "user"]),
    default="admin",
    show_default=True,
    help="Role of the key's owner; a user's key acts for its owner only.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Inject a fault from the list below; may be repeated.",
)
@click.option("--tls", is_flag=True, help="Use TLS, with its own certificate authority.")
@click.option(
    "--processing",
    "processing",
    default="5",
    show_default=True,
    metavar="SECONDS",
    help="Time until a session is analysed; 2-90: random per session.",
)
@click.option("--seed", default=0, metavar="N", show_default=True, help="Random seed.")
@click.option(
    "--link-seconds",
    "link_s",
    default=3600.0,
    metavar="SECONDS",
    show_default=True,
    help="How long a video link is valid.",
)
@click.option(
    "--plan-limit",
    type=WholeNumber(0),
    metavar="N",
    help="Session limit of the plan; further uploads get 404.",
)
@click.option("--per-user", is_flag=True, help="The session limit applies per athlete.")
@click.option(
    "--allowed-domain",
    metavar="D",
    help="The domain the key is bound to; requests need it as Origin.",
)
@click.option(
    "--athletes",
    type=WholeNumber(1, 20_000),
    metavar="N",
    help="Number of athletes, with names in many scripts.",
)
@click.option(
    "--sessions",
    "old_sessions",
    type=WholeNumber(0, 1_000_000),
    default=0,
    metavar="N",
    help="Number of old sessions in the account.",
)
@click.option(
    "--keep",
    "keep_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Store received videos in this folder.",
)
@config_option
def sandbox(
    port: int,
    key: str,
    role: str,
    faults: tuple[str, ...],
    tls: bool,
    processing: str,
    seed: int,
    link_s: float,
    keep_dir: Path | None,
    plan_limit: int | None,
    per_user: bool,
    allowed_domain: str | None,
    athletes: int | None,
    old_sessions: int,
    config: Path | None,  # noqa: ARG001  # every command takes it; the sandbox has its own options
) -> None:
    """Run a local sandbox of the API.

    It validates requests against the API contract and records every session and request.
    """

    try:
        server = Sandbox(
            port=port,
            key=key,
            faults=faults,
            processing_s=parse_span(processing),
            keep_dir=keep_dir,
            tls=tls,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        if error.filename is not None:  # the folder of --keep; an address has none
            raise RequestError(
                f"{error.filename}: {error.strerror}", hint="choose another folder: --keep DIR"
            ) from None
        raise BusyError(
            f"port {port}: {error.strerror}", hint="use a free port: spotter sandbox --port 0"
        ) from None
    if per_user and plan_limit is None:
        raise click.UsageError("--per-user needs --plan-limit")
    server.add_key(key, role=role)
    server.processing.seed(seed)
    server.link_s = link_s
    server.plan_limit, server.limit_is_per_user = plan_limit, per_user
    server.allowed_domain, server.old_sessions = allowed_domain, old_sessions
    if athletes is not None:
        server.athletes = roster(athletes)
    serve(server, click.echo)
