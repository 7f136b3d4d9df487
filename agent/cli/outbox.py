"""The commands `outbox`, `takes` and `undo`."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from agent.cli.common import (
    TOLD,
    MovementOptions,
    apply_to_each,
    find_clip,
    headed,
    local_time,
    movement_options,
    opened_outbox,
    print_columns,
    print_json,
    settings_of,
    standard_options,
    steered_outbox,
    warn_unknown_athlete,
)
from agent.clock import LocalTime, read_clock
from agent.errors import RequestError
from agent.outbox.history import story
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.station import clip_actions
from agent.station.assignments import state_folder, station_rules
from agent.station.clip_actions import (
    add_take,
    find,
    find_capture,
    last_undoable,
    look_again,
    remember_given,
    retry_deletion,
)
from agent.station.clip_actions import edit as edit_clip
from agent.station.clip_actions import give as give_clip
from agent.station.clip_actions import hold as hold_clip
from agent.station.clip_actions import resend as ask_resend
from agent.station.clip_actions import undo as take_back


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", required=True, help="Athlete, or guest:3.")
@movement_options
@standard_options
def give(
    ids: tuple[str, ...],
    user_id: str,
    options: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Assign clips to an athlete before upload.

    Held clips are released.  Omitted options stay unchanged.  Uploading begins after
    delivery.send_delay_s; spotter undo reverts it within 10 s.
    """

    def change(settings: Settings, outbox: Outbox, wanted_id: str) -> dict[str, object]:
        rules, now = station_rules(settings), read_clock()
        entry = find_clip(outbox, wanted_id)
        wanted = options.of_clip(entry)
        with outbox.transaction():
            given = give_clip(outbox, entry, user_id, wanted, rules=rules, now_s=now.utc_s)
            remember_given(outbox, [(entry, given)], now=now)
        warn_unknown_athlete(outbox, user_id)
        return {"id": given.name, "state": given.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@movement_options
@standard_options
def edit(
    ids: tuple[str, ...], options: MovementOptions, config: Path | None, as_json: bool
) -> None:
    """Change exercise, weight or incline before upload.

    The athlete and the hold stay unchanged, and so do omitted options.  spotter undo reverts it
    within 10 s.
    """
    if not options.is_something:
        raise click.UsageError(
            "nothing to change: give --activity, --exercise, --barbell-mass or --incline"
        )

    def change(settings: Settings, outbox: Outbox, wanted_id: str) -> dict[str, object]:
        rules, now = station_rules(settings), read_clock()
        entry = find_clip(outbox, wanted_id)
        shows = options.of_clip(entry)
        assert shows is not None  # something was told
        with outbox.transaction():
            edited = edit_clip(outbox, entry, shows, rules=rules, now_s=now.utc_s)
            remember_given(outbox, [(entry, edited)], now=now)
        return {"id": edited.name, "state": edited.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@standard_options
def hold(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Hold clips for review until they are released."""

    def change(_settings: Settings, outbox: Outbox, wanted_id: str) -> dict[str, object]:
        held = hold_clip(outbox, find_clip(outbox, wanted_id), now_s=read_clock().utc_s)
        return {"id": held.name, "state": held.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", required=True, help="The right athlete.")
@movement_options
@standard_options
def resend(
    ids: tuple[str, ...],
    user_id: str,
    options: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Upload clips again for the right athlete.

    The wrong sessions are then deleted.  It begins after 10 s; until then spotter undo reverts
    it.  Omitted options stay unchanged.
    """

    def change(settings: Settings, outbox: Outbox, wanted_id: str) -> dict[str, object]:
        rules, clips = station_rules(settings), state_folder(settings).clips
        entry = find_clip(outbox, wanted_id)
        wanted = options.of_clip(entry)
        asked = ask_resend(outbox, clips, entry, user_id, wanted, rules=rules, now=read_clock())
        warn_unknown_athlete(outbox, user_id)
        words = f"being resent for {user_id} (spotter undo reverts it within 10 s)"
        done = {"id": entry.name, "state": asked.state, "error": None, "resend": asked.id}
        return {**done, TOLD: words}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@standard_options
def delete_wrong(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Retry deleting the wrong sessions after a resend."""

    def change(_settings: Settings, outbox: Outbox, wanted_id: str) -> dict[str, object]:
        entry = find_clip(outbox, wanted_id)
        found = outbox.resends.of_entry(entry.id)
        if found is None:
            raise RequestError(f"{entry.name} was not resent", hint=f"spotter show {entry.name}")
        moved = retry_deletion(outbox, found.id, now_s=read_clock().utc_s)
        return {"id": entry.name, "state": moved.state, "error": None, "resend": moved.id}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@standard_options
def undo(config: Path | None, as_json: bool) -> None:
    """Undo the last action (within 10 s).

    That is the last give, edit, release, discard, resend, forget (from the page), a paused
    recording, a removed queue entry or a cleared queue.
    """

    now = read_clock()
    with steered_outbox(config) as (_settings, outbox):
        last = last_undoable(outbox, now=now)
        if last is None:
            raise RequestError("nothing to undo: actions can be undone for 10 s")
        take_back(outbox, last.id, now=now)
    if as_json:
        print_json({"undone": last.kind})
    else:
        click.echo(f"undone: {last.kind.replace('_', ' ')}")


Change = Callable[[Outbox, str], Capture | Entry]

_HEAD = ("ID", "CLIP", "STATE", "ATHLETE", "EXERCISE", "FILMED ({zone})", "FILE", "")
_STATES = [
    *("captured", "analysing", "analysed", "skipped", "quarantined", "discarded"),
    *("ready", "held", "uploading", "uncertain", "uploaded", "completed", "dead"),
]


@click.group()
def outbox() -> None:
    """Show and manage clips and their uploads.

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
@standard_options
def list_(state: str | None, everything: bool, config: Path | None, as_json: bool) -> None:
    """List clips, and recordings without clips."""
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        rows = outbox.listing.rows(state=state, all_captures=everything or state == "analysed")
    if as_json:
        print_json([_without_extras(row) for row in rows])
        return
    if not rows:
        click.echo("no clips or recordings" if state is None else f"nothing is {state}")
        return
    here = local_time()
    print_columns([headed(_HEAD, here), *(_cells(row, here) for row in rows)])


@outbox.command()
@click.argument("wanted", metavar="ID")
@standard_options
def show(wanted: str, config: Path | None, as_json: bool) -> None:
    """Show all stored data of one recording or clip."""

    settings = settings_of(config)

    with opened_outbox(settings) as outbox:
        document = story(outbox, find(outbox, wanted))
    if as_json:
        print_json(document)
        return
    here = local_time()
    for name, value in document.items():
        if value is not None and value != []:
            _show(name, value, here)
    click.echo(f"{'times':16} local time, {here.zone}")


def _show(name: str, value: object, here: LocalTime) -> None:
    """Print one fact; a list of facts gets a line each."""
    if not isinstance(value, list):
        click.echo(f"{name:16} {_plain(name, value, here)}")
        return
    for number, part in enumerate(value):
        text = part
        if isinstance(part, dict) and set(part) == {"at", "what"}:
            text = f"{here.moment_or(part['at'])}  {part['what']}"
        elif isinstance(part, dict):
            facts = {key: fact for key, fact in part.items() if fact is not None}
            text = "  ".join(f"{key}={_plain(key, facts[key], here)}" for key in facts)
        click.echo(f"{'' if number else name:16} {text}")


def _plain(name: str, value: object, here: LocalTime) -> str:
    if name.endswith("_at") and isinstance(value, str):
        return here.moment_or(value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@standard_options
def retry(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Retry now; also retries a paused connection."""

    now_s = read_clock().utc_s

    def change(outbox: Outbox, wanted: str) -> Capture | Entry:
        return clip_actions.retry(outbox, clip_actions.find(outbox, wanted), now_s=now_s)

    _steer(
        ids,
        change,
        config=config,
        as_json=as_json,
        probe=True,
    )


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@standard_options
def discard(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Discard: do not upload.

    The files stay until the clean-up removes them.  spotter undo reverts it within 10 s.
    """

    now = read_clock()

    def change(outbox: Outbox, wanted: str) -> Capture | Entry:
        clip_actions.discard_undoably(outbox, clip_actions.find(outbox, wanted), now=now)
        return clip_actions.find(outbox, wanted)

    _steer(ids, change, config=config, as_json=as_json)


@outbox.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", help="Athlete; required if none is known.")
@movement_options
@standard_options
def release(
    ids: tuple[str, ...],
    user_id: str | None,
    options: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Release held clips for upload.

    Omitted options stay unchanged.  Uploading begins after delivery.send_delay_s; spotter undo
    reverts it within 10 s.
    """

    rules, now = station_rules(settings_of(config)), read_clock()

    def change(outbox: Outbox, wanted: str) -> Entry:
        entry = clip_actions.find(outbox, wanted)
        if isinstance(entry, Capture):
            raise RequestError(
                f"{entry.name} is a recording, not a clip",
                hint=f"its clips: spotter show {entry.name}",
            )
        said = _said(entry, user_id, options)
        with outbox.transaction():
            released = clip_actions.release(
                outbox,
                entry,
                said=said,
                station=rules.default,
                now_s=now.utc_s,
                send_delay_s=rules.send_delay_s,
            )
            remember_given(outbox, [(entry, released)], now=now)
        warn_unknown_athlete(outbox, user_id)
        return released

    _steer(ids, change, config=config, as_json=as_json)


def _said(entry: Entry, user_id: str | None, options: MovementOptions) -> ClipTarget | None:
    """Return what a person said of a clip, as far as it was said."""

    if user_id is None and not options.is_something:
        return None
    return ClipTarget(
        recipient=entry.recipient,
        user_id=user_id,
        activity=options.activity or entry.activity,
        exercise=options.exercise,
        barbell_mass_kg=options.barbell_mass,
        incline_deg=options.incline,
    )


def _steer(
    ids: tuple[str, ...],
    change: Change,
    *,
    config: Path | None,
    as_json: bool,
    probe: bool = False,
) -> None:
    """Change each ID, and say how it stands."""

    def outcome(_settings: Settings, outbox: Outbox, wanted: str) -> dict[str, object]:
        changed = change(outbox, wanted)
        return {"id": changed.name, "state": changed.state, "error": None}

    apply_to_each(ids, outcome, config=config, as_json=as_json, probe=probe)


def _without_extras(row: Mapping[str, object]) -> dict[str, object]:
    return {**row, "remarks": json.loads(str(row["remarks"]))}


def _cells(row: Mapping[str, object], here: LocalTime) -> tuple[str, ...]:
    """Return a row's words: where it is, whose it is, and what it came to or waits for."""
    filmed_at = row["filmed_at"] or (None if row["kind"] == "entry" else row["created_at"])
    moment = here.moment_or(filmed_at, "unknown")
    detail = None if row["state"] == "discarded" else row["detail"]  # that ended something else
    text = row["session_id"] or detail or row["reason"]
    if text is None and row["next_attempt_at"] is not None:
        text = f"next try {here.moment_or(row['next_attempt_at'])}"
    words = (row["id"], row["clip_code"], row["state"], row["user_id"])
    movement = row["exercise"] or row["activity"]
    return tuple(str(word or "-") for word in (*words, movement, moment, row["capture"], text))


_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?)")


class _Moment(click.ParamType[float]):
    """A moment of a capture: seconds, m:ss or h:mm:ss."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        matched = _CLOCK.fullmatch(str(value))
        if matched is None:
            self.fail(f"{value!r} is not a position (examples: 83.5, 1:23.5)", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in matched.groups())
        return hours * 3600 + minutes * 60 + seconds


@click.group()
def takes() -> None:
    """Create clips manually where the analysis missed a take."""


@takes.command()
@click.argument("file")
@click.argument("start", type=_Moment())
@click.argument("end", type=_Moment())
@standard_options
def add(file: str, start: float, end: float, config: Path | None, as_json: bool) -> None:
    """Create a clip of a recording from START to END.

    FILE is the recording's file name or ID (c12).  START and END are seconds or m:ss from the
    beginning of the recording.  The clip gets no padding; its athlete follows from the recording
    time.
    """

    with steered_outbox(config) as (_settings, outbox):
        capture = find_capture(outbox, file)
        take = add_take(outbox, capture, start_s=start, end_s=end, now_s=read_clock().utc_s)
    if as_json:
        print_json({"capture": capture.name, "take": take.number, "start_s": start, "end_s": end})
    else:
        click.echo(f"{capture.name}: clip from {start:g} to {end:g} s queued (take {take.number})")


@click.command()
@click.argument("capture")
@standard_options
def reanalyse(capture: str, config: Path | None, as_json: bool) -> None:
    """Analyse a recording again, with the current settings.

    Clips that are not uploaded yet are discarded and replaced by the new result.  What was
    uploaded or created manually never gets a second clip.
    """

    with steered_outbox(config) as (_settings, outbox):
        again = look_again(outbox, find_capture(outbox, capture), now_s=read_clock().utc_s)
    if as_json:
        print_json({"id": again.name, "state": again.state})
    else:
        click.echo(f"{again.name} will be analysed again")
