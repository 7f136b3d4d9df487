"""Joining a facility, and leaving it."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from agent import __version__
from agent.disk.state_folder import StateFolder
from agent.errors import BusyError, NotifyError, RequestError
from agent.facility.broker import (
    AGAIN_S,
    BrokerAccess,
    HubConnection,
    HubRefusesError,
    fetch_certificate,
)
from agent.facility.keys import SEED_BYTES, FacilityKey, is_public_key
from agent.facility.membership import (
    Invitation,
    MemberKind,
    Membership,
    Subjects,
    read_membership,
    read_station_key,
    split_address,
    write_membership,
)
from agent.text import read_json

_KNOWN_WITHIN_S = 5.0  # an invitation that was made just now, as by a script
_ACCEPTED_WITHIN_S = 15.0  # the broker starts again to know the new key

Answer = TypeVar("Answer")


def join(folder: StateFolder, invitation: Invitation, *, station: str) -> Membership:
    """Make the station a member of a facility, with a key that is made here and stays here.

    Args:
        folder: the station's state folder.
        invitation: of the hub's.
        station: the station's id.

    Raises:
        RequestError: the invitation is another station's, or used up, or one is a member already.
        NotifyError: the hub cannot be reached.
        BusyError: the hub did not let the station in.
    """
    _check_kind(invitation, MemberKind.STATION)
    if invitation.station != station:
        raise RequestError(
            f"the invitation is for {invitation.station!r}, this station's id is {station!r}",
            hint=f"on the hub: spotter hub invite {station}",
        )
    member = read_membership(folder)
    if member is not None:
        raise RequestError(
            f"the station belongs to {member.site} already", hint="first: spotter leave"
        )
    return _let_in(folder, invitation)


def join_as_worker(folder: StateFolder, invitation: Invitation) -> Membership:
    """Make this machine a worker of a facility, in place of what it was before.

    Args:
        folder: the worker's state folder.
        invitation: of the hub's, for a worker.

    Raises:
        RequestError: the invitation is a station's, or used up.
        NotifyError: the hub cannot be reached.
        BusyError: the hub did not let the worker in.
    """
    _check_kind(invitation, MemberKind.WORKER)
    return _let_in(folder, invitation)


def join_as_site(folder: StateFolder, invitation: Invitation, *, site: str) -> Membership:
    """Make a site's hub a member of a chain.

    Args:
        folder: the hub's state folder.
        invitation: of the chain's hub.
        site: the site's name.

    Raises:
        RequestError: the invitation is not this site's, or used up, or it has a chain already.
        NotifyError: the chain's hub cannot be reached.
        BusyError: it did not let the site in.
    """
    _check_kind(invitation, MemberKind.SITE)
    if invitation.station != site:
        raise RequestError(
            f"the invitation is for {invitation.station!r}, this site is {site!r}",
            hint=f"on the chain's hub: spotter hub invite --site {site}",
        )
    member = read_membership(folder)
    if member is not None:
        raise RequestError(
            f"the site belongs to {member.site} already", hint="first: spotter hub leave"
        )
    return _let_in(folder, invitation)


_COMMANDS = {
    MemberKind.STATION: "at that station: spotter join LINK",
    MemberKind.WORKER: "on that machine: spotter worker --join LINK",
    MemberKind.SITE: "on the site's hub: spotter hub join LINK",
}


def _check_kind(invitation: Invitation, kind: MemberKind) -> None:
    """See that an invitation is for such a member.

    Raises:
        RequestError: it is for another.
    """
    if invitation.kind is not kind:
        raise RequestError(
            f"the invitation is for a {invitation.kind}", hint=_COMMANDS[invitation.kind]
        )


def _let_in(folder: StateFolder, invitation: Invitation) -> Membership:
    certificate = fetch_certificate(
        invitation.address, digest=invitation.digest, within_s=_KNOWN_WITHIN_S
    )
    seed = os.urandom(SEED_BYTES)
    key = FacilityKey(seed)
    hub, port = _ask(invitation, certificate, key)
    member = Membership(
        address=invitation.address,
        site=invitation.site,
        station=invitation.station,
        certificate=certificate,
        hub=hub,
    )
    _wait_until_known(member, key, again=_invite_again(invitation))
    if port is not None:  # where sites connect
        host = invitation.address.rpartition(":")[0]
        member = replace(member, address=f"{host}:{port}")
    write_membership(folder, member, seed=seed)
    return member


def _ask(invitation: Invitation, certificate: str, key: FacilityKey) -> tuple[str, int | None]:
    """Send the hub the member's key; return the hub's, and for a site the port for its broker."""
    access = BrokerAccess(
        address=invitation.address, certificate=certificate, key=FacilityKey(invitation.seed)
    )
    asked = json.dumps({"key": key.public, "version": __version__}).encode()
    subjects = Subjects(site=invitation.site, station=invitation.station)
    subject = subjects.join(invitation.kind)
    connection = HubConnection(access)
    try:
        answer = _patiently(
            connection, lambda: connection.ask(subject, asked), refused_within_s=_KNOWN_WITHIN_S
        )
        told = read_json(answer)
        hub = told["hub"]
        port = split_address(f":{told['port']}")[1] if invitation.kind is MemberKind.SITE else None
    except HubRefusesError:
        raise RequestError(
            "the invitation was used, or has expired",
            hint=f"on the hub: {_invite_again(invitation)}",
        ) from None
    except (ValueError, TypeError, KeyError):
        raise BusyError("the hub's answer cannot be read", hint="try again") from None
    finally:
        connection.close()
    if not isinstance(hub, str) or not is_public_key(hub):
        raise BusyError("the hub's answer cannot be read", hint="try again")
    return hub, port


def _patiently(
    connection: HubConnection, exchange: Callable[[], Answer], *, refused_within_s: float
) -> Answer:
    """Connect and return what an exchange gives; a hub that starts again gets time for it.

    Args:
        connection: which is opened for each try.
        exchange: what is wanted of the hub.
        refused_within_s: how long a hub may not know the key.

    Raises:
        HubRefusesError: it still does not.
        NotifyError: it cannot be reached, or does not get ready.
    """
    began_s = time.monotonic()
    while True:
        try:
            connection.open()
            return exchange()
        except NotifyError as error:  # its broker may start again for another station meanwhile
            is_refused = isinstance(error, HubRefusesError)
            within_s = refused_within_s if is_refused else _ACCEPTED_WITHIN_S
            if time.monotonic() - began_s > within_s:
                raise
        time.sleep(AGAIN_S)


def _invite_again(invitation: Invitation) -> str:
    """Return the command that makes another invitation like this one."""
    option = "" if invitation.kind is MemberKind.STATION else f"--{invitation.kind} "
    return f"spotter hub invite {option}{invitation.station}"


def _wait_until_known(member: Membership, key: FacilityKey, *, again: str) -> None:
    connection = HubConnection(access_of(member, key))
    try:
        _patiently(connection, lambda: None, refused_within_s=_ACCEPTED_WITHIN_S)
    except NotifyError as error:
        raise BusyError(
            f"the hub did not let the station in: {error}", hint=f"on the hub: {again}"
        ) from None
    finally:
        connection.close()


def access_of(member: Membership, key: FacilityKey) -> BrokerAccess:
    """Return how a member reaches its broker."""
    return BrokerAccess(address=member.address, certificate=member.certificate, key=key)


def connection_of(
    folder: StateFolder, member: Membership, *, check: Callable[[], None]
) -> HubConnection:
    """Return a station's connection to its hub, still to be opened.

    Args:
        folder: with the station's key.
        member: what the station knows of its facility.
        check: what it raises ends whatever is under way.

    Raises:
        ConfigError: the key cannot be read.
    """
    key = FacilityKey(read_station_key(folder))
    return HubConnection(access_of(member, key), check=check)
