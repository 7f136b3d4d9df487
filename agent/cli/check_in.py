"""The commands `groups`, `tap` and `cards`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from agent.cli.common import (
    headed,
    local_time,
    opened_outbox,
    print_answer,
    print_columns,
    print_json,
    refusals_of,
    settings_of,
    standard_options,
    steered_outbox,
)
from agent.cli.formatting import assignment_document, assignment_words
from agent.clock import iso_utc, read_clock
from agent.disk.state_folder import acting_as_caller
from agent.errors import RequestError
from agent.outbox.outbox import Outbox
from agent.outbox.roster import AthleteGroup, LinkedCard
from agent.station.assignments import record_default, state_folder, station_rules
from agent.station.check_in import (
    SET_BY_CARD,
    CheckIn,
    TapOutcome,
    change_members,
    group_of,
    import_groups,
    remove_group,
    set_group,
)
from agent.station.roster import athlete_of, find_athlete
from agent.text import counted

_MOST_BYTES = 1 << 20  # of a file with groups

_group = click.argument("group", metavar="GROUP")


@click.group(invoke_without_command=True)
@standard_options
@click.pass_context
def groups(context: click.Context, config: Path | None, as_json: bool) -> None:
    """List and change groups of athletes: classes or teams.

    ATHLETE is a user_id, a guest (guest:3) or a full name.  The page's list of athletes can be
    narrowed to a group; spotter queue group GROUP lets a group take turns.
    """
    if context.invoked_subcommand is not None:
        return
    with opened_outbox(settings_of(config)) as outbox:
        known = outbox.groups.all()
        documents = [_document(outbox, one) for one in known]
    if as_json:
        print_json(documents)
    elif known:
        print_columns(
            [("GROUP", "ATHLETES"), *((one.name, str(len(one.members))) for one in known)]
        )
    else:
        click.echo("no groups; create one: spotter groups set GROUP ATHLETE...")


@groups.command()
@_group
@standard_options
def show(group: str, config: Path | None, as_json: bool) -> None:
    """List the athletes of a group."""
    with opened_outbox(settings_of(config)) as outbox:
        _tell(outbox, [group_of(outbox, group)], as_json=as_json)


@groups.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@standard_options
def import_(file: Path, config: Path | None, as_json: bool) -> None:
    """Import groups from a CSV file.

    Its columns are group and athlete.  Each group named there gets exactly the members named
    there; other groups stay.  If any line matches no athlete, or several, nothing is imported.
    """
    with refusals_of(file), acting_as_caller(), file.open("rb") as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise RequestError(f"{file} is larger than {_MOST_BYTES >> 20} MB")
    _change(
        lambda outbox, now_s: import_groups(outbox, content, now_s=now_s),
        config=config,
        as_json=as_json,
    )


@groups.command("set")
@_group
@click.argument("athletes", nargs=-1, metavar="ATHLETE...")
@standard_options
def set_(group: str, athletes: Sequence[str], config: Path | None, as_json: bool) -> None:
    """Create a group, or replace its members."""
    _change(
        lambda outbox, now_s: [set_group(outbox, group, _keys(outbox, athletes), now_s=now_s)],
        config=config,
        as_json=as_json,
    )


@groups.command()
@_group
@click.argument("athletes", nargs=-1, required=True, metavar="ATHLETE...")
@standard_options
def add(group: str, athletes: Sequence[str], config: Path | None, as_json: bool) -> None:
    """Add athletes to a group."""
    _change(
        lambda outbox, now_s: [
            change_members(outbox, group, add=_keys(outbox, athletes), now_s=now_s)
        ],
        config=config,
        as_json=as_json,
    )


@groups.command()
@_group
@click.argument("athletes", nargs=-1, metavar="[ATHLETE...]")
@standard_options
def remove(group: str, athletes: Sequence[str], config: Path | None, as_json: bool) -> None:
    """Remove athletes from a group; without any, the group."""

    def change(outbox: Outbox, now_s: float) -> list[AthleteGroup]:
        if not athletes:
            remove_group(outbox, group, now_s=now_s)
            return []
        leave = [_member(outbox, group, one) for one in athletes]
        return [change_members(outbox, group, leave=leave, now_s=now_s)]

    _change(change, config=config, as_json=as_json, otherwise=f"removed: {group}")


def _member(outbox: Outbox, group: str, named: str) -> str:
    """Return the key of a member, who may have left the account."""
    return named if named in group_of(outbox, group).members else find_athlete(outbox, named).key


def _keys(outbox: Outbox, athletes: Sequence[str]) -> list[str]:
    return [find_athlete(outbox, one).key for one in athletes]


def _change(
    change: Callable[[Outbox, float], list[AthleteGroup]],
    *,
    config: Path | None,
    as_json: bool,
    otherwise: str = "no groups in the file",
) -> None:
    """Change groups and print those that were changed; where there are none, other words."""
    with steered_outbox(config) as (_settings, outbox):
        changed = change(outbox, read_clock().utc_s)
        if changed or as_json:
            _tell(outbox, changed, as_json=as_json)
        else:
            click.echo(otherwise)


def _tell(outbox: Outbox, told: Sequence[AthleteGroup], *, as_json: bool) -> None:
    """Print groups with their members."""
    documents = [_document(outbox, one) for one in told]
    if as_json:
        print_json(documents)
        return
    for one in told:
        click.echo(f"{one.name}: {counted(len(one.members), 'athlete')}")
        members = [(f"  {key}", _name(outbox, key) or "not in the roster") for key in one.members]
        print_columns(members)


def _document(outbox: Outbox, group: AthleteGroup) -> dict[str, object]:
    members = [{"key": key, "name": _name(outbox, key)} for key in group.members]
    return {"group": group.name, "members": members}


def _name(outbox: Outbox, key: str) -> str | None:
    """Return a person's name; None where they cannot be assigned."""
    known = athlete_of(outbox, key)
    return None if known is None or known.gone_at is not None else known.name


_HEAD = ("CARD", "ATHLETE", "NAME", "LINKED ({zone})")
_card = click.argument("card", metavar="CARD")


@click.command()
@_card
@standard_options
def tap(card: str, config: Path | None, as_json: bool) -> None:
    """Assign the athlete of a card, code or fob.

    CARD is what the reader reads; - reads it from standard input.  An athlete who is on the
    station already stays, and the time until the assignment expires starts again.
    """
    now = read_clock()
    with steered_outbox(config) as (settings, outbox):
        rules = station_rules(settings)
        record_default(outbox, rules.default, now=now)
        desk = CheckIn(outbox, state_folder(settings))
        tapped = desk.tap(_said(card), rules=rules, now=now, set_by=SET_BY_CARD)
    if tapped.athlete is None:
        if tapped.outcome is TapOutcome.UNKNOWN:
            raise RequestError(
                "this card is not linked to an athlete", hint="spotter cards link CARD ATHLETE"
            )
        raise RequestError(
            "the athlete of this card is not in the roster", hint="list it: spotter athletes"
        )
    document = assignment_document(tapped.assignment)
    told = {"result": tapped.outcome, "athlete": tapped.athlete.key, "assignment": document}
    print_answer(told, assignment_words(tapped.assignment), as_json=as_json)


@click.group()
def cards() -> None:
    """Link cards, codes and fobs to athletes.

    A card's text is not stored; the list shows an id for each card.
    """


@cards.command()
@_card
@click.argument("athlete", metavar="ATHLETE")
@standard_options
def link(card: str, athlete: str, config: Path | None, as_json: bool) -> None:
    """Link a card to an athlete.

    CARD is what the reader reads; - reads it from standard input.  ATHLETE is a user_id, a guest
    (guest:3) or a full name.
    """
    with steered_outbox(config) as (settings, outbox):
        key = find_athlete(outbox, athlete).key
        desk = CheckIn(outbox, state_folder(settings))
        linked = desk.link(_said(card), key, now_s=read_clock().utc_s)
    _tell_card("linked", linked, as_json=as_json)


@cards.command()
@_card
@standard_options
def unlink(card: str, config: Path | None, as_json: bool) -> None:
    """Unlink a card, by its id in the list or by its text."""
    with steered_outbox(config) as (settings, outbox):
        desk = CheckIn(outbox, state_folder(settings))
        unlinked = desk.unlink(_said(card), now_s=read_clock().utc_s)
    _tell_card("unlinked", unlinked, as_json=as_json)


@cards.command("list")
@standard_options
def list_(config: Path | None, as_json: bool) -> None:
    """List the linked cards."""
    with opened_outbox(settings_of(config)) as outbox:
        known = [(one, _name(outbox, one.athlete)) for one in outbox.cards.all()]
    if as_json:
        print_json([{**_card_document(one), "name": name} for one, name in known])
    elif known:
        here = local_time()
        lines = [
            (one.id, one.athlete, name or "not in the roster", here.moment(one.changed_at))
            for one, name in known
        ]
        print_columns([headed(_HEAD, here), *lines])
    else:
        click.echo("no linked cards")


def _said(card: str) -> str:
    """Return what a card says; what stands on the command line every user of the box can see."""
    return sys.stdin.readline() if card == "-" else card


def _tell_card(done: str, card: LinkedCard, *, as_json: bool) -> None:
    print_answer(_card_document(card), f"{done}: card {card.id}, {card.athlete}", as_json=as_json)


def _card_document(card: LinkedCard) -> dict[str, object]:
    return {"card": card.id, "athlete": card.athlete, "changed_at": iso_utc(card.changed_at)}
