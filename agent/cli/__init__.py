"""The command line: parse, call one function, print, map errors to exit codes.

A command's module is imported when the command is asked for: `spotter --help` must not wait for
what it never uses.
"""

import contextlib
import errno
import io
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from agent import __version__
from agent.errors import AgentError, BusyError

_INTERRUPTED = 130
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MAKE_ROOM = "free some space there; for temporary files, or: TMPDIR=FOLDER"
_DISK_FAULT = "sudo dmesg shows disk faults"
_READ_ONLY = f"{_DISK_FAULT}; sudo mount -o remount,rw repairs a mount"
_OF_DISKS = {
    **dict.fromkeys(_FULL, _MAKE_ROOM),
    **{errno.EROFS: _READ_ONLY, errno.EIO: _DISK_FAULT},
}  # what a disk refuses, and what to do
_OF_COMMANDS = frozenset({"--config", "--json"})  # options that every command takes, but no group

# Every command by its section of the help: its module, where it stands under its own name, and its
# short help, which is repeated here so that `spotter --help` loads no command.
_SECTIONS = {
    "Daily use": {
        "assign": ("assign", "Assign an athlete to the station."),
        "keep": ("assign", "Extend the current assignment."),
        "done": ("assign", "Clear the current assignment."),
        "queue": ("assign", "Show and change the queue of athletes."),
        "athletes": ("athletes", "List the athletes who can be assigned."),
        "groups": ("check_in", "List and change groups of athletes: classes or teams."),
        "tap": ("check_in", "Assign the athlete of a card, code or fob."),
        "cards": ("check_in", "Link cards, codes and fobs to athletes."),
        "filming": ("assign", "Pause and resume recording."),
        "status": ("status", "Show what the station is doing."),
        "show": ("why", "Show where anything is, its history, and what to do next."),
        "camera": ("camera", "Show what each recorder of the station does."),
        "why": ("why", "Show a take's status and what it is waiting for."),
        "undo": ("outbox", "Undo the last action (within 10 s)."),
    },
    "Results and uploads": {
        "sessions": ("sessions", "List sessions and their metrics."),
        "session": ("sessions", "Show one session."),
        "export": ("sessions", "Export takes and their metrics as CSV."),
        "outbox": ("outbox", "Show and manage clips and their uploads."),
        "takes": ("outbox", "Create clips manually where the analysis missed a take."),
        "reanalyse": ("outbox", "Analyse a recording again, with the current settings."),
        "forget": ("athletes", "Delete an athlete's data from this box."),
    },
    "Setup and maintenance": {
        "init": ("init", "Write a station's settings and test its API key."),
        "run": ("run", "Run the station in the foreground."),
        "record": ("record", "Record one camera while the station arms it."),
        "reader": (
            "reader",
            "Check athletes in with a USB reader, or use a pedal.",
        ),
        "doctor": ("care", "Check the whole station, and say how to fix problems."),
        "config": ("run", "Show the active settings and the origin of each."),
        "pair": ("page", "Pair a tablet with the coach's page by QR code."),
        "notify": ("care", "Test the notifications (webhook, MQTT)."),
        "logs": ("why", "Show the event log (of one clip)."),
        "support": ("care", "Create a support bundle."),
        "backup": ("care", "Back up the station to FILE, a tar archive."),
        "restore": ("care", "Restore a station from FILE, a backup of spotter backup."),
    },
    "Facility": {
        "hub": ("hub", "Run the hub of a facility: many stations on one screen."),
        "join": ("hub", "Join a facility by the LINK of spotter hub invite."),
        "leave": ("hub", "Leave the facility: nothing is sent to the hub any more."),
        "worker": ("worker", "Analyse recordings for the stations of a facility."),
        "certificate": ("page", "Issue certificates for the pages of all stations."),
    },
    "Try it out": {
        "demo": ("demo", "Run the full pipeline once, offline."),
        "analyse": ("analyse", "Analyse one video: its takes and quality warnings."),
        "sandbox": ("demo", "Run a local sandbox of the API."),
        "drill": ("demo", "Run fault-injection self-tests (about two minutes)."),
    },
}
_COMMANDS = {name: module for part in _SECTIONS.values() for name, (module, _) in part.items()}


class _Commands(click.Group):
    """The commands, each loaded when it is first asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        module = _COMMANDS.get(name)
        if module is None:
            return None
        command = getattr(import_module(f"{__name__}.{module}"), name)
        assert isinstance(command, click.Command)  # the table above says so, and a test
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help":
            args = [*args[1:], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as unknown:
            raise click.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx) from unknown

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, _COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(longest), text) for name, (_, text) in commands.items()]
                )


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="spotter")
def spotter() -> None:
    """Spotter uploads a trimmed clip of every take on this station to the AiKYNETIX API.

    \b
    New machine: spotter init.  Something is wrong: spotter doctor.
    Where is a take: spotter show.
    Options go after the command: spotter status --config FILE

    Exit codes: 0 success, 1 failure, 2 wrong usage, 69 API unreachable, 75 try again later,
    78 invalid configuration.
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _show_what_can_be_shown()
    try:
        spotter(standalone_mode=False, color=False if os.environ.get("NO_COLOR") else None)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        click.echo("\nspotter: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        hint = _hint_of(error)
        if hint is not None and isinstance(error, click.NoSuchOption):
            error = click.NoSuchOption(error.option_name, ctx=error.ctx)  # not one that is similar
        error.show()
        if hint is not None:
            click.echo(hint, err=True)
        _answer_scripts(error.format_message(), hint or _usage_of(error))
        sys.exit(error.exit_code)
    except AgentError as error:
        _end_with(error)
    except Exception as error:
        _end_for(error)
        raise
    finally:
        _let_go_of_complaints()


def print_error(error: AgentError) -> None:
    """Print to standard error what went wrong, and what to do."""
    click.echo(f"spotter: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def end_after(error: AgentError) -> NoReturn:
    """End a command that has given its answer already, and say what went wrong."""
    print_error(error)
    sys.exit(error.exit_code)


def _end_with(error: AgentError) -> NoReturn:
    print_error(error)
    _answer_scripts(str(error), error.hint)
    sys.exit(error.exit_code)


def _answer_scripts(error: str, hint: str | None) -> None:
    """Print an error as the one JSON document, where the command line asks for one."""
    words = sys.argv[1:]
    if "--json" not in words[: words.index("--") if "--" in words else None]:
        return
    with contextlib.suppress(OSError):  # whoever asked may be gone
        click.echo(json.dumps({"error": error, "hint": hint}, indent=2, ensure_ascii=False))
    _end_of_output()


def _usage_of(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return None if context is None else f"{context.command_path} --help"


def _hint_of(error: click.ClickException) -> str | None:
    """Return what helps with a command line more than its usage does, or None."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None or not isinstance(context.command, click.Group):
        return None
    if isinstance(error, click.NoSuchOption) and error.option_name in _OF_COMMANDS:
        value = " FILE" if error.option_name == "--config" else ""
        return f"Options go after the command: spotter status {error.option_name}{value}"
    if isinstance(error, click.NoSuchCommand) and not error.possibilities and context.parent:
        return f"Commands: {', '.join(context.command.list_commands(context))}"
    return None


def _show_what_can_be_shown() -> None:
    """Let a terminal that does not speak UTF-8 see question marks instead of nothing at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end_for(error: Exception) -> None:
    """End the process where an error is no fault of the program's."""
    if isinstance(error, OSError):
        _end_if_unwritten(error)
        _end_if_named(error)
    if isinstance(error, UnicodeEncodeError) and any(error.object in word for word in sys.argv):
        told = f"{error.object!r} is not valid UTF-8"
        click.echo(f"spotter: {told}", err=True)
        _answer_scripts(told, None)
        sys.exit(click.UsageError.exit_code)
    if _is_database_busy(error):
        _end_with(
            BusyError(
                f"the outbox is not available: {error}",
                hint="try again later; if the disk is full, free some space first: spotter status",
            )
        )


def _end_if_unwritten(error: OSError) -> None:
    """End the process where nobody reads what it prints, or no disk takes what it writes."""
    hint = _OF_DISKS.get(error.errno or 0)
    if hint is not None and error.filename is not None:  # what it prints has no name
        _end_with(AgentError(f"{error.filename}: {error.strerror}", hint=hint))
    unwritten = _end_of_output() or (error if error.errno in _FULL else None)
    if unwritten is None:
        return
    if not isinstance(unwritten, BrokenPipeError):
        click.echo(f"spotter: cannot write the output: {unwritten.strerror}", err=True)
    sys.exit(1)


def _end_if_named(error: OSError) -> None:
    """End the process where the system refuses a file that the command line names, or one in it."""
    if not isinstance(error.filename, str | bytes):
        return
    refused = Path(os.fsdecode(error.filename)).absolute()
    words = (word.partition("=")[2] if word[:2] == "--" else word for word in sys.argv[1:])
    named = {Path(word).absolute() for word in words if word}
    if not named.isdisjoint({refused, *refused.parents}):
        _end_with(
            AgentError(
                f"{os.fsdecode(error.filename)}: {error.strerror}",
                hint="name another file or folder, or try with sudo",
            )
        )


def _let_go_of_complaints() -> None:
    """Drop what standard error does not take, as on a full disk: Python 3.13 would end with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _end_of_output() -> OSError | None:
    """Return why standard output takes nothing more, or None; the rest of it goes nowhere then."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _is_database_busy(error: Exception) -> bool:
    """Tell whether SQLite was kept from its work by a lock or by the disk."""
    sqlite3 = sys.modules.get("sqlite3")  # never imported for what does without it
    return sqlite3 is not None and isinstance(error, sqlite3.OperationalError)
