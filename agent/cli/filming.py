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
    """Pause and resume recording."""


@filming.command()
@click.option(
    "--for", "lasts_s", type=Duration(), metavar="30m", help="Resume automatically after this time."
)
@config_option
@json_option
def stop(lasts_s: float | None, config: Path | None, as_json: bool) -> None:
    """Pause recording: new footage is deleted unseen.

    spotter undo reverts the pause within 30 s; footage is deleted after that.  Footage from
    before and after the pause is processed as usual, even if it is in the same file.  A file
    whose recording time is uncertain is held for review, unanalysed.
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
    """Resume recording."""
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
