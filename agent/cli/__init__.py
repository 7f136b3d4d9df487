"""The command line: parse, call one function, print, map errors to exit codes.

Modules are imported inside the commands: `spotter --help` must not wait for what it never uses.
"""

import os
import sys

import click

from agent import __version__
from agent.cli.analyse import analyse
from agent.cli.assign import assign, done, keep
from agent.cli.athletes import athletes
from agent.cli.config import config
from agent.cli.correct import undo
from agent.cli.demo import demo
from agent.cli.doctor import doctor
from agent.cli.drill import drill
from agent.cli.export import export
from agent.cli.filming import filming
from agent.cli.forget import forget
from agent.cli.logs import logs
from agent.cli.notify import notify
from agent.cli.outbox import outbox
from agent.cli.pair import pair
from agent.cli.queue import queue
from agent.cli.run import run
from agent.cli.sandbox import sandbox
from agent.cli.sessions import session, sessions
from agent.cli.status import status
from agent.cli.support import support
from agent.cli.takes import reanalyse, takes
from agent.cli.why import why
from agent.errors import AgentError, BusyError

_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spotter")
def spotter() -> None:
    """Spotter delivers a clean clip of every take from this station to the AiKYNETIX API.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 69 the API cannot be reached, 75 try again
    later, 78 the configuration is wrong.
    """


for command in (
    *(run, demo, analyse, assign, keep, done, queue, athletes, forget, filming, status, why),
    *(sessions, session, export, notify),
    *(outbox, undo, takes, reanalyse, pair, config, doctor, logs, support, sandbox, drill),
):
    spotter.add_command(command)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        spotter(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AgentError as error:
        click.echo(f"spotter: {error}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        _end_for(error)
        raise


def _end_for(error: Exception) -> None:
    """End the process where an error is no fault of the program's."""
    if isinstance(error, BrokenPipeError) and not _is_heard():
        sys.exit(1)
    if _is_database_busy(error):
        click.echo(f"spotter: the outbox cannot be used now: {error}", err=True)
        click.echo("  try again later; a full disk needs room first: spotter status", err=True)
        sys.exit(BusyError.exit_code)


def _is_heard() -> bool:
    """Tell whether somebody still reads standard output; if not, the rest of it goes nowhere."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _is_database_busy(error: Exception) -> bool:
    """Tell whether SQLite was kept from its work by a lock or by the disk."""
    sqlite3 = sys.modules.get("sqlite3")  # never imported for what does without it
    return sqlite3 is not None and isinstance(error, sqlite3.OperationalError)
