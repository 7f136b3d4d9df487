"""spotter outbox."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    headed,
    json_option,
    local_time,
    opened_outbox,
    print_columns,
    print_json,
    settings_of,
)
from agent.cli.correct import delete_wrong, edit, give, hold, resend
from agent.cli.each import change_each
from agent.cli.movement import Told, movement_options
from agent.cli.unknown import warn_of_unknown
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.local_time import LocalTime
    from agent.outbox.capture import Capture
    from agent.outbox.entry import Entry, Whose
    from agent.outbox.store import Outbox
    from agent.settings import Settings

    Change = Callable[[Outbox, str], Capture | Entry]

_HEAD = ("ID", "CLIP", "STATE", "ATHLETE", "MOVEMENT", "FILMED ({zone})", "FILE", "")
_STATES = [
    *("captured", "analysing", "analysed", "skipped", "quarantined", "discarded"),
    *("ready", "held", "uploading", "uncertain", "uploaded", "completed", "dead"),
]


@click.group()
def outbox() -> None:
    """Inspect and manage the upload queue.

    An ID is c12 (a recording), e7 (a clip) or a clip code.
    """


outbox.add_command(give)
outbox.add_command(edit)
outbox.add_command(hold)
outbox.add_command(resend)
outbox.add_command(delete_wrong, "delete-wrong")


@outbox.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only what is in this state.")
@click.option(
    "--all", "everything", is_flag=True, help="Include recordings whose clips are listed."
)
@config_option
@json_option
def list_(state: str | None, everything: bool, config: Path | None, as_json: bool) -> None:
    """List clips, and recordings without clips."""
    settings = settings_of(config)
    with opened_outbox(settings) as box:
        rows = box.listing.rows(state=state, all_captures=everything or state == "analysed")
    if as_json:
        print_json([_without_extras(row) for row in rows])
        return
    if not rows:
        click.echo("the queue is empty" if state is None else f"nothing is {state}")
        return
    here = local_time()
    print_columns([headed(_HEAD, here), *(_cells(row, here) for row in rows)])


@outbox.command()
@click.argument("wanted", metavar="ID")
@config_option
@json_option
def show(wanted: str, config: Path | None, as_json: bool) -> None:
    """Show all stored data of one recording or clip."""
    from agent.outbox.views.story import story

    settings = settings_of(config)
    from agent.station.steering import find

    with opened_outbox(settings) as box:
        document = story(box, find(box, wanted))
    if as_json:
        print_json(document)
        return
    here = local_time()
    for name, value in document.items():
        if value is not None and value != []:
            _show(name, value, here)
    click.echo(f"{'times':16} local time, {here.zone}")


def _show(name: str, value: object, here: "LocalTime") -> None:
    """Print one fact; a list of facts gets a line each."""
    if not isinstance(value, list):
        click.echo(f"{name:16} {_plain(name, value, here)}")
        return
    for number, part in enumerate(value):
        told = part
        if isinstance(part, dict) and set(part) == {"at", "what"}:
            told = f"{here.moment_or(part['at'])}  {part['what']}"
        elif isinstance(part, dict):
            facts = {key: fact for key, fact in part.items() if fact is not None}
            told = "  ".join(f"{key}={_plain(key, facts[key], here)}" for key in facts)
        click.echo(f"{'' if number else name:16} {told}")


def _plain(name: str, value: object, here: "LocalTime") -> str:
    if name.endswith("_at") and isinstance(value, str):
        return here.moment_or(value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@config_option
@json_option
def retry(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Retry now; also retries a paused connection."""
    from agent.clock import read_clock
    from agent.station import steering

    now_s = read_clock().utc_s
    _steer(
        ids,
        lambda box, wanted: steering.retry(box, steering.find(box, wanted), now_s=now_s),
        config=config,
        as_json=as_json,
        probe=True,
    )


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@config_option
@json_option
def discard(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Discard: do not upload.

    The files stay until the clean-up removes them.  spotter undo reverts it within 10 s.
    """
    from agent.clock import read_clock
    from agent.station import steering, undoing

    now = read_clock()

    def change(box: "Outbox", wanted: str) -> "Capture | Entry":
        undoing.discard(box, steering.find(box, wanted), now=now)
        return steering.find(box, wanted)

    _steer(ids, change, config=config, as_json=as_json)


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", help="Athlete; required if none is known.")
@movement_options
@config_option
@json_option
def release(
    ids: tuple[str, ...],
    user_id: str | None,
    told: Told,
    config: Path | None,
    as_json: bool,
) -> None:
    """Release held clips for upload.

    Omitted options stay unchanged.  Uploading begins after delivery.send_delay_s; spotter undo
    reverts it within 10 s.
    """
    from agent.clock import read_clock
    from agent.outbox.capture import Capture
    from agent.station import steering
    from agent.station.of_settings import station_rules
    from agent.station.undoing import remember_given

    rules, now = station_rules(settings_of(config)), read_clock()

    def change(box: "Outbox", wanted: str) -> "Entry":
        entry = steering.find(box, wanted)
        if isinstance(entry, Capture):
            raise RequestError(
                f"{entry.name} is a recording, not a clip",
                hint=f"its clips: spotter show {entry.name}",
            )
        said = _said(entry, user_id, told)
        with box.transaction():
            released = steering.release(
                box,
                entry,
                said=said,
                station=rules.default,
                now_s=now.utc_s,
                send_delay_s=rules.send_delay_s,
            )
            remember_given(box, [(entry, released)], now=now)
        warn_of_unknown(box, user_id)
        return released

    _steer(ids, change, config=config, as_json=as_json)


def _said(entry: "Entry", user_id: str | None, told: Told) -> "Whose | None":
    """Return what a person said of a clip, as far as it was said."""
    from agent.outbox.entry import Whose

    if user_id is None and not told.is_something:
        return None
    return Whose(
        recipient=entry.recipient,
        user_id=user_id,
        activity=told.activity or entry.activity,
        exercise=told.exercise,
        barbell_mass_kg=told.barbell_mass,
        incline_deg=told.incline,
    )


def _steer(
    ids: tuple[str, ...],
    change: "Change",
    *,
    config: Path | None,
    as_json: bool,
    probe: bool = False,
) -> None:
    """Change each ID, and say how it stands."""

    def outcome(_settings: "Settings", box: "Outbox", wanted: str) -> dict[str, object]:
        changed = change(box, wanted)
        return {"id": changed.name, "state": changed.state, "error": None}

    change_each(ids, outcome, config=config, as_json=as_json, probe=probe)


def _without_extras(row: Mapping[str, object]) -> dict[str, object]:
    import json

    return {**row, "remarks": json.loads(str(row["remarks"]))}


def _cells(row: Mapping[str, object], here: "LocalTime") -> tuple[str, ...]:
    """Return a row's words: where it is, whose it is, and what it came to or waits for."""
    filmed_at = row["filmed_at"] or (None if row["kind"] == "entry" else row["created_at"])
    moment = here.moment_or(filmed_at, "unknown")
    detail = None if row["state"] == "discarded" else row["detail"]  # that ended something else
    told = row["session_id"] or detail or row["reason"]
    if told is None and row["next_attempt_at"] is not None:
        told = f"next try {here.moment_or(row['next_attempt_at'])}"
    words = (row["id"], row["clip_code"], row["state"], row["user_id"])
    movement = row["exercise"] or row["activity"]
    return tuple(str(word or "-") for word in (*words, movement, moment, row["capture"], told))
