"""The commands `assign`, `done`, `keep`, `queue` and `filming`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path

import click

from agent.cli.common import (
    Duration,
    MovementOptions,
    Number,
    WholeNumber,
    movement_options,
    print_answer,
    print_json,
    standard_options,
    steered_outbox,
    warn_unknown_athlete,
)
from agent.cli.formatting import (
    assignment_document,
    assignment_words,
    filming_document,
    filming_words,
    movement_words,
    target_document,
)
from agent.clock import Instant, read_clock
from agent.errors import RequestError
from agent.outbox.assignments import Assignment
from agent.outbox.outbox import Outbox
from agent.station import assignments
from agent.station.assignments import (
    StationRules,
    assignment_status,
    enqueue,
    move_in_queue,
    next_in_queue,
    record_default,
    rotates,
    set_rotate,
    station_rules,
)
from agent.station.check_in import queue_group
from agent.station.clip_actions import clear_queue, unqueue
from agent.station.recording_pause import filming as filming_now
from agent.station.recording_pause import start_filming, stop_filming
from agent.station.roster import note_guest, person_key
from agent.text import counted

AssignCommand = Callable[[Outbox, StationRules, Instant], Assignment]

SET_BY = "command line"


@click.command()
@click.argument("user_id", required=False)
@movement_options
@click.option(
    "--for", "lasts_s", type=Duration(), metavar="30m", help="Assignment expires after this time."
)
@click.option("--guest", metavar="NAME", help="A guest who is not in the account.")
@click.option("--again", is_flag=True, help="Same exercise and weight as this athlete's last take.")
@click.option(
    "--step", "step_kg", type=Number(), metavar="KG", help="Add weight to the bar (-2.5: remove)."
)
@click.option("--clear", is_flag=True, help="Back to the station's default athlete.")
@click.option("--nobody", is_flag=True, help="No athlete, until the next assignment.")
@standard_options
def assign(
    user_id: str | None,
    options: MovementOptions,
    lasts_s: float | None,
    guest: str | None,
    again: bool,
    step_kg: float | None,
    clear: bool,
    nobody: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Assign an athlete to the station.

    USER_ID may be a guest (guest:3), or the full name of one athlete of the roster.  Earlier
    recordings keep their athlete.  Omitted options default to the athlete's last weight, then the
    station settings (for the same activity).  Without --for the assignment expires after
    45 minutes without a take (station.runs_out_after_min).
    """
    if user_id is not None and not user_id.strip():  # spotter assign "$WHO", where nothing set WHO
        raise click.UsageError("USER_ID is empty")
    if sum((user_id is not None, guest is not None, step_kg is not None, clear, nobody)) != 1:
        raise click.UsageError("give exactly one of USER_ID, --guest, --step, --clear or --nobody")
    says_more = options.is_something or lasts_s is not None
    if user_id is None and guest is None and says_more:
        raise click.UsageError("the other options need a USER_ID or --guest")
    if again and (user_id is None or options.is_something):
        raise click.UsageError("--again needs a USER_ID and no other option")

    def say(outbox: Outbox, rules: StationRules, now: Instant) -> Assignment:
        if step_kg is not None:
            return assignments.step_mass(outbox, step_kg, rules=rules, now=now, set_by=SET_BY)
        if clear or nobody:
            speak = assignments.clear_assignment if clear else assignments.assign_nobody
            return speak(outbox, now=now, set_by=SET_BY)
        usual = replace(rules.default, barbell_mass_kg=None, incline_deg=None)
        wanted = options.over(rules.default) or (None if again else usual)
        with outbox.transaction():
            key = (
                note_guest(outbox, guest or "", now_s=now.utc_s).key
                if user_id is None
                else person_key(outbox, user_id)
            )
            return assignments.assign_person(
                outbox, key, wanted, rules=rules, now=now, set_by=SET_BY, lasts_s=lasts_s
            )

    _speak(say, config=config, as_json=as_json)


@click.command()
@standard_options
def done(config: Path | None, as_json: bool) -> None:
    """Clear the current assignment."""

    _speak(
        lambda outbox, _rules, now: assignments.assign_nobody(outbox, now=now, set_by=SET_BY),
        config=config,
        as_json=as_json,
    )


@click.command()
@standard_options
def keep(config: Path | None, as_json: bool) -> None:
    """Extend the current assignment.

    The time until it expires (station.runs_out_after_min) starts again.
    """

    _speak(
        lambda outbox, _rules, now: assignments.keep(outbox, now=now, set_by=SET_BY),
        config=config,
        as_json=as_json,
    )


def _speak(say: AssignCommand, *, config: Path | None, as_json: bool) -> None:
    """Record what is said, wake the daemon, and print what holds now."""

    now = read_clock()
    with steered_outbox(config) as (settings, outbox):
        rules = station_rules(settings)
        record_default(outbox, rules.default, now=now)
        said = say(outbox, rules, now)
        warn_unknown_athlete(outbox, None if said is None else said.user_id)
    print_answer(assignment_document(said), assignment_words(said), as_json=as_json)


PauseCommand = Callable[[Outbox, Instant], object]


@click.group()
def filming() -> None:
    """Pause and resume recording."""


@filming.command()
@click.option(
    "--for", "lasts_s", type=Duration(), metavar="30m", help="Resume automatically after this time."
)
@standard_options
def stop(lasts_s: float | None, config: Path | None, as_json: bool) -> None:
    """Pause recording: new footage is deleted, not analysed.

    spotter undo reverts the pause within 30 s; footage is deleted after that.  Footage from
    before and after the pause is processed as usual, even if it is in the same file.  A file
    whose recording time is uncertain is held for review, unanalysed.
    """

    _say(
        lambda outbox, now: stop_filming(outbox, now=now, set_by=SET_BY, lasts_s=lasts_s),
        config=config,
        as_json=as_json,
    )


@filming.command()
@standard_options
def start(config: Path | None, as_json: bool) -> None:
    """Resume recording."""

    _say(
        lambda outbox, now: start_filming(outbox, now=now, set_by=SET_BY),
        config=config,
        as_json=as_json,
    )


def _say(say: PauseCommand, *, config: Path | None, as_json: bool) -> None:
    now = read_clock()
    with steered_outbox(config) as (_settings, outbox):
        say(outbox, now)
        stands = filming_now(outbox, now=now)
    print_answer(filming_document(stands), filming_words(stands), as_json=as_json)


Change = Callable[[Outbox, StationRules, Instant], object]


MOST = 10**9  # places: more than ever were


@click.group(invoke_without_command=True)
@standard_options
@click.pass_context
def queue(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Show and change the queue of athletes."""
    if context.invoked_subcommand is None:
        _change(lambda *_: None, config=config, as_json=as_json)


def _queue_command(change: Callable[..., object]) -> Callable[..., None]:
    """Make a command of what changes the queue, called with outbox, rules, moment and its options.

    It wakes the daemon, and prints how the queue stands.
    """

    @standard_options
    @wraps(change)
    def command(config: Path | None, as_json: bool, **given: object) -> None:
        _change(partial(change, **given), config=config, as_json=as_json)

    return command


@queue.command()
@click.argument("athlete", metavar="USER_ID")
@movement_options
@_queue_command
def add(
    outbox: Outbox, rules: StationRules, _now: Instant, athlete: str, options: MovementOptions
) -> None:
    """Add an athlete to the end of the queue.

    USER_ID may be a guest (guest:3), or the full name of one athlete of the roster.  Omitted
    options default to the athlete's last exercise and weight.
    """
    key = person_key(outbox, athlete)
    enqueue(outbox, key, options.over(rules.default), rules=rules)
    warn_unknown_athlete(outbox, key)


@queue.command()
@click.argument("group", metavar="GROUP")
@_queue_command
def group(outbox: Outbox, rules: StationRules, now: Instant, group: str) -> None:
    """Let a group take turns.

    Adds its athletes who are not in the queue yet to its end, and turns rotation on.
    """
    queue_group(outbox, group, rules=rules, now=now)


@queue.command()
@click.argument("place", type=WholeNumber(1, MOST))
@_queue_command
def remove(outbox: Outbox, _rules: StationRules, now: Instant, place: int) -> None:
    """Remove the athlete at a PLACE; 1 is next.

    spotter undo reverts it within 10 s.
    """
    unqueue(outbox, _id_at(outbox, place), now=now)


@queue.command()
@click.argument("place", type=WholeNumber(1, MOST))
@click.argument("to", type=WholeNumber(1, MOST))
@_queue_command
def move(outbox: Outbox, _rules: StationRules, _now: Instant, place: int, to: int) -> None:
    """Move an athlete from PLACE to another; 1 is next."""
    move_in_queue(outbox, _id_at(outbox, place), to=to)


@queue.command("next")
@_queue_command
def next_(outbox: Outbox, rules: StationRules, now: Instant) -> None:
    """Assign the next athlete in the queue."""
    next_in_queue(outbox, rules=rules, now=now)


@queue.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@_queue_command
def rotate(outbox: Outbox, _rules: StationRules, _now: Instant, switch: str) -> None:
    """Move the finished athlete to the end of the queue."""
    set_rotate(outbox, on=switch == "on")


@queue.command()
@_queue_command
def clear(outbox: Outbox, _rules: StationRules, now: Instant) -> None:
    """Clear the queue; spotter undo reverts it within 10 s."""
    clear_queue(outbox, now=now)


def _id_at(outbox: Outbox, place: int) -> int:
    waiting = outbox.queue.all()
    if place > len(waiting):
        raise RequestError(
            f"no place {place} in the queue: it has {counted(len(waiting), 'athlete')}"
        )
    return waiting[place - 1].id


def _change(change: Change, *, config: Path | None, as_json: bool) -> None:
    """Change the queue and print how it stands."""

    now = read_clock()
    with steered_outbox(config) as (settings, outbox):
        change(outbox, station_rules(settings), now)
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
