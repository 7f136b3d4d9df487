"""The commands `outbox`, `takes` and `undo`."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from agent.cli import print_error
from agent.cli.common import (
    MovementOptions,
    find_clip,
    headed,
    local_time,
    movement_options,
    opened_outbox,
    print_answer,
    print_columns,
    print_json,
    settings_of,
    standard_options,
    steered_outbox,
    warn_unknown_athlete,
)
from agent.clock import LocalTime, read_clock
from agent.errors import AgentError, RequestError
from agent.outbox.corrections import names_of
from agent.outbox.history import story
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.station import clip_actions
from agent.station.assignments import api_host, state_folder, station_rules
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
from agent.station.roster import person_key

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


class Changed(NamedTuple):
    """What became of the clip or recording of one ID."""

    id: str
    state: str
    more: Mapping[str, object] = {}  # what scripts are told besides
    words: str = ""  # what people are told instead of the state


Change = Callable[..., Changed | Capture | Entry]

_ids = click.argument("ids", metavar="ID...", nargs=-1, required=True)


def _for_each_id(change: Change) -> Callable[..., None]:
    """Make a command of what changes one ID, called with settings, outbox, ID and its options."""

    @standard_options
    @wraps(change)
    def command(ids: tuple[str, ...], config: Path | None, as_json: bool, **given: object) -> None:
        _apply(partial(change, **given), ids, config=config, as_json=as_json)

    return command


def _apply(
    change: Change,
    ids: Sequence[str],
    *,
    config: Path | None,
    as_json: bool,
    probe: bool = False,
) -> None:
    """Change each ID and print its outcome.

    Args:
        change: changes one.
        ids: what people named.
        config, as_json: the options of the command.
        probe: let a paused lane ask at once.

    Raises:
        SystemExit: some could not be changed, each of which was printed; with the code of
            the first.
    """

    outcomes: list[dict[str, object]] = []
    words: list[str] = []
    failed: list[AgentError] = []
    with steered_outbox(config) as (settings, outbox):
        for wanted in ids:
            try:
                found = change(settings, outbox, wanted)
            except AgentError as error:
                failed.append(error)
                told = {"error": str(error), "hint": error.hint}
                outcomes.append({"id": wanted, "state": None, **told})
                continue
            done = found if isinstance(found, Changed) else Changed(found.name, found.state)
            outcomes.append({"id": done.id, "state": done.state, "error": None, **done.more})
            words.append(f"{done.id} is now {done.words or done.state}")
        if probe:
            lane = outbox.lanes.update(api_host(settings), {"next_probe_at": 0.0})
            outbox.limits.try_now(lane.uid)
    if as_json:
        print_json(outcomes)
    elif words:
        click.echo("\n".join(words))
    for refusal in failed:
        print_error(refusal)
    if failed:
        sys.exit(failed[0].exit_code)


@outbox.command()
@_ids
@click.option("--user-id", required=True, help="User id, full name or guest:3.")
@movement_options
@_for_each_id
def give(
    settings: Settings, outbox: Outbox, wanted_id: str, user_id: str, options: MovementOptions
) -> Entry:
    """Assign clips to an athlete before upload.

    Held clips are released.  Omitted options stay unchanged.  Uploading begins after
    delivery.send_delay_s; spotter undo reverts it within 10 s.
    """
    rules, now = station_rules(settings), read_clock()
    entry = find_clip(outbox, wanted_id)
    key, wanted = person_key(outbox, user_id), options.of_clip(entry)
    with outbox.transaction():
        given = give_clip(outbox, entry, key, wanted, rules=rules, now_s=now.utc_s)
        remember_given(outbox, [(entry, given)], now=now)
    warn_unknown_athlete(outbox, key)
    return given


@outbox.command()
@_ids
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

    def change(settings: Settings, outbox: Outbox, wanted_id: str) -> Entry:
        rules, now = station_rules(settings), read_clock()
        entry = find_clip(outbox, wanted_id)
        shows = options.of_clip(entry)
        assert shows is not None  # something was told
        with outbox.transaction():
            edited = edit_clip(outbox, entry, shows, rules=rules, now_s=now.utc_s)
            remember_given(outbox, [(entry, edited)], now=now)
        return edited

    _apply(change, ids, config=config, as_json=as_json)


@outbox.command()
@_ids
@_for_each_id
def hold(_settings: Settings, outbox: Outbox, wanted_id: str) -> Entry:
    """Hold clips for review until they are released."""
    return hold_clip(outbox, find_clip(outbox, wanted_id), now_s=read_clock().utc_s)


@outbox.command()
@_ids
@click.option("--user-id", required=True, help="The right user id, full name or guest:3.")
@movement_options
@_for_each_id
def resend(
    settings: Settings, outbox: Outbox, wanted_id: str, user_id: str, options: MovementOptions
) -> Changed:
    """Upload clips again for the right athlete.

    The wrong sessions are then deleted.  It begins after 10 s; until then spotter undo reverts
    it.  Omitted options stay unchanged.
    """
    rules, clips = station_rules(settings), state_folder(settings).clips
    entry = find_clip(outbox, wanted_id)
    key, wanted = person_key(outbox, user_id), options.of_clip(entry)
    asked = ask_resend(outbox, clips, entry, key, wanted, rules=rules, now=read_clock())
    warn_unknown_athlete(outbox, key)
    words = f"being resent for {key} (spotter undo reverts it within 10 s)"
    return Changed(entry.name, asked.state, {"resend": asked.id}, words)


@outbox.command()
@_ids
@_for_each_id
def delete_wrong(_settings: Settings, outbox: Outbox, wanted_id: str) -> Changed:
    """Retry deleting the wrong sessions after a resend."""
    entry = find_clip(outbox, wanted_id)
    found = outbox.resends.of_entry(entry.id)
    if found is None:
        raise RequestError(f"{entry.name} was not resent", hint=f"spotter show {entry.name}")
    moved = retry_deletion(outbox, found.id, now_s=read_clock().utc_s)
    return Changed(entry.name, moved.state, {"resend": moved.id})


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
@_ids
@standard_options
def retry(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Retry now; also retries a paused connection."""

    def change(_settings: Settings, outbox: Outbox, wanted: str) -> Capture | Entry:
        return clip_actions.retry(outbox, find(outbox, wanted), now_s=read_clock().utc_s)

    _apply(change, ids, config=config, as_json=as_json, probe=True)


@outbox.command()
@_ids
@_for_each_id
def discard(_settings: Settings, outbox: Outbox, wanted: str) -> Capture | Entry:
    """Discard: do not upload.

    The files stay until the clean-up removes them.  spotter undo reverts it within 10 s.
    """
    clip_actions.discard_undoably(outbox, find(outbox, wanted), now=read_clock())
    return find(outbox, wanted)


@outbox.command()
@_ids
@click.option("--user-id", help="User id, full name or guest:3; required if none is known.")
@movement_options
@_for_each_id
def release(
    settings: Settings,
    outbox: Outbox,
    wanted: str,
    user_id: str | None,
    options: MovementOptions,
) -> Entry:
    """Release held clips for upload.

    Omitted options stay unchanged.  Uploading begins after delivery.send_delay_s; spotter undo
    reverts it within 10 s.
    """
    entry, now = find_clip(outbox, wanted), read_clock()
    key = None if user_id is None else person_key(outbox, user_id)
    with outbox.transaction():
        released = clip_actions.release(
            outbox,
            entry,
            said=_said(entry, key, options),
            rules=station_rules(settings),
            now_s=now.utc_s,
        )
        remember_given(outbox, [(entry, released)], now=now)
    warn_unknown_athlete(outbox, key)
    return released


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
    names = names_of(last)  # a command with several IDs made one action of each
    words = " ".join([last.kind.replace("_", " "), *names])
    print_answer({"undone": last.kind, "ids": names}, f"undone: {words}", as_json=as_json)


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
    document = {"capture": capture.name, "take": take.number, "start_s": start, "end_s": end}
    words = f"{capture.name}: clip from {start:g} to {end:g} s queued (take {take.number})"
    print_answer(document, words, as_json=as_json)


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
    words = f"{again.name} will be analysed again"
    print_answer({"id": again.name, "state": again.state}, words, as_json=as_json)
