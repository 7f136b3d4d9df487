"""The command `queue`."""

from collections.abc import Callable
from pathlib import Path

import click

from agent.cli.common import (
    config_option,
    json_option,
    print_json,
    steered_outbox,
    warn_unknown_athlete,
)
from agent.cli.formatting import (
    assignment_document,
    assignment_words,
    movement_words,
    target_document,
)
from agent.cli.options import MovementOptions, movement_options
from agent.clock import read_clock
from agent.errors import RequestError
from agent.outbox.outbox import Outbox
from agent.station.assignments import StationRules, station_rules
from agent.station.check_in import queue_group
from agent.station.clip_actions import clear_queue, unqueue
from agent.station.expiry import assignment_status
from agent.station.queue import enqueue, move_in_queue, next_in_queue, rotates, set_rotate
from agent.text import counted

Change = Callable[[Outbox, StationRules], object]


MOST = 10**9  # places: more than ever were


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def queue(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Show and change the queue of athletes."""
    if context.invoked_subcommand is None:
        _change(lambda _outbox, _rules: None, config=config, as_json=as_json)


@queue.command()
@click.argument("athlete", metavar="USER_ID")
@movement_options
@config_option
@json_option
def add(
    athlete: str,
    options: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Add an athlete to the end of the queue.

    USER_ID may be a guest (guest:3).  Omitted options default to the athlete's last exercise and
    weight.
    """

    def change(outbox: Outbox, rules: StationRules) -> None:
        wanted = options.over(rules.default)
        enqueue(outbox, athlete, wanted, rules=rules)
        warn_unknown_athlete(outbox, athlete)

    _change(change, config=config, as_json=as_json)


@queue.command()
@click.argument("group", metavar="GROUP")
@config_option
@json_option
def group(group: str, config: Path | None, as_json: bool) -> None:
    """Let a group take turns.

    Adds its athletes who do not wait already to the end of the queue, and turns rotation on.
    """

    now = read_clock()
    _change(
        lambda outbox, rules: queue_group(outbox, group, rules=rules, now=now),
        config=config,
        as_json=as_json,
    )


@queue.command()
@click.argument("place", type=click.IntRange(1, MOST))
@config_option
@json_option
def remove(place: int, config: Path | None, as_json: bool) -> None:
    """Remove the athlete at a PLACE; 1 is next.

    spotter undo reverts it within 10 s.
    """

    now = read_clock()
    _change(
        lambda outbox, _rules: unqueue(outbox, _id_at(outbox, place), now=now),
        config=config,
        as_json=as_json,
    )


@queue.command()
@click.argument("place", type=click.IntRange(1, MOST))
@click.argument("to", type=click.IntRange(1, MOST))
@config_option
@json_option
def move(place: int, to: int, config: Path | None, as_json: bool) -> None:
    """Move an athlete from PLACE to another; 1 is next."""

    _change(
        lambda outbox, _rules: move_in_queue(outbox, _id_at(outbox, place), to=to),
        config=config,
        as_json=as_json,
    )


@queue.command("next")
@config_option
@json_option
def next_(config: Path | None, as_json: bool) -> None:
    """Assign the next athlete in the queue."""

    now = read_clock()
    _change(
        lambda outbox, rules: next_in_queue(outbox, rules=rules, now=now),
        config=config,
        as_json=as_json,
    )


@queue.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@config_option
@json_option
def rotate(switch: str, config: Path | None, as_json: bool) -> None:
    """Move the finished athlete to the end of the queue."""

    _change(
        lambda outbox, _rules: set_rotate(outbox, on=switch == "on"),
        config=config,
        as_json=as_json,
    )


@queue.command()
@config_option
@json_option
def clear(config: Path | None, as_json: bool) -> None:
    """Clear the queue; spotter undo reverts it within 10 s."""

    now = read_clock()
    _change(lambda outbox, _rules: clear_queue(outbox, now=now), config=config, as_json=as_json)


def _id_at(outbox: Outbox, place: int) -> int:
    waiting = outbox.queue.all()
    if place > len(waiting):
        raise RequestError(
            f"no place {place} in the queue: it has {counted(len(waiting), 'athlete')}"
        )
    return waiting[place - 1].id


def _change(change: Change, *, config: Path | None, as_json: bool) -> None:
    """Change the queue and tell how it stands."""

    with steered_outbox(config) as (settings, outbox):
        change(outbox, station_rules(settings))
        present = assignment_status(outbox, now=read_clock()).assignment
        waiting = [queued.target for queued in outbox.queue.all()]
        turns = rotates(outbox)
    if as_json:
        stands = assignment_document(present)
        print_json(
            {"assignment": stands, "rotate": turns, "queue": [*map(target_document, waiting)]}
        )
        return
    click.echo(assignment_words(present))
    for place, target in enumerate(waiting, start=1):
        who = target.user_id or f"guest:{target.guest_id}"
        click.echo(f"{place}. {who}, {movement_words(target)}")
    if not waiting:
        click.echo("the queue is empty")
    if turns:
        click.echo("rotation on: the finished athlete moves to the end")
