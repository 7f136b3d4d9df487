"""spotter filming."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import config_option, json_option, print_json, steered_outbox
from agent.cli.duration import Duration

if TYPE_CHECKING:
    from agent.clock import Instant
    from agent.outbox.store import Outbox

    Say = Callable[[Outbox, Instant], object]

_SET_BY = "command line"


@click.group()
def filming() -> None:
    """Stop filming, and let it go on."""


@filming.command()
@click.option("--for", "lasts_s", type=Duration(), metavar="30m", help="After that it goes on.")
@config_option
@json_option
def stop(lasts_s: float | None, config: Path | None, as_json: bool) -> None:
    """Film nobody from now on.

    What is filmed meanwhile is removed unseen, once 30 s have passed; until then, spotter undo
    takes the stop back.  What was filmed before and after keeps its way, even in one file with
    what was not; where it is not certain when a file was filmed, it waits for a person, unseen.
    """
    from agent.station.filming import stop_filming

    _say(
        lambda outbox, now: stop_filming(outbox, now=now, set_by=_SET_BY, lasts_s=lasts_s),
        config=config,
        as_json=as_json,
    )


@filming.command()
@config_option
@json_option
def start(config: Path | None, as_json: bool) -> None:
    """Let filming go on."""
    from agent.station.filming import start_filming

    _say(
        lambda outbox, now: start_filming(outbox, now=now, set_by=_SET_BY),
        config=config,
        as_json=as_json,
    )


def _say(say: "Say", *, config: Path | None, as_json: bool) -> None:
    from agent.cli.words import filming_document, filming_words
    from agent.clock import read_clock
    from agent.station.filming import filming as filming_now

    now = read_clock()
    with steered_outbox(config) as (_settings, outbox):
        say(outbox, now)
        stands = filming_now(outbox, now=now)
    if as_json:
        print_json(filming_document(stands))
    else:
        click.echo(filming_words(stands))
