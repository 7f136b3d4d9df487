"""Guessing PINs: each wrong one makes the next wait longer, and all together are few.  Pure.

An address waits longer with every wrong PIN, up to an hour.  All addresses together share a
small stock of guesses that fills slowly, so that many addresses help nobody; an address from which
a device has come in before has only its own waits.  Paired devices and pairing links never come
here.  The counts live in memory: who can restart the daemon needs no PIN.
"""

import hmac
import ipaddress
from dataclasses import dataclass

SHORTEST = 6  # characters of a PIN
_FREE = 3  # wrong PINs of one address without a wait: fingers slip
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 3600.0
_STOCK = 30  # guesses of all addresses at once
_REFILL_S = 120.0  # one guess more
_MOST_ADDRESSES = 1000
_OWN_NETWORK = 64  # bits of an IPv6 address that one household shares


@dataclass(slots=True)
class _Address:
    wrong: int = 0
    blocked_until_s: float = 0.0


class PinGuard:
    """Compares PINs, as often as is safe."""

    def __init__(self) -> None:
        self._addresses: dict[str, _Address] = {}
        self._stock = float(_STOCK)
        self._filled_at_s = 0.0

    def wait_s(self, address: str, *, now_s: float, is_known: bool = False) -> float:
        """Return how long an address has to wait before a PIN is looked at; 0: not at all.

        Args:
            address: where it comes from.
            now_s: on a clock that never jumps.
            is_known: a device that may come in has come from there: others' guesses do not count.
        """
        known = self._addresses.get(network_of(address))
        own_s = 0.0 if known is None else max(0.0, known.blocked_until_s - now_s)
        self._refill(now_s)
        if is_known:
            return own_s
        shared_s = 0.0 if self._stock >= 1 else (1 - self._stock) * _REFILL_S
        return max(own_s, shared_s)

    def is_right(
        self, given: str, pin: str, *, address: str, now_s: float, is_known: bool = False
    ) -> bool:
        """Compare a PIN; ask `wait_s` first, or it is wrong whatever was given.

        Args:
            given: what somebody typed.
            pin: what is right.
            address: where it came from.
            now_s, is_known: as for `wait_s`.
        """
        if self.wait_s(address, now_s=now_s, is_known=is_known) > 0:
            return False
        if hmac.compare_digest(given.encode(), pin.encode()):
            self._addresses.pop(network_of(address), None)
            return True
        if not is_known:
            self._stock -= 1
        self._note_wrong(network_of(address), now_s)
        return False

    def _note_wrong(self, network: str, now_s: float) -> None:
        known = self._addresses.pop(network, None) or _Address()
        known.wrong += 1
        if known.wrong >= _FREE:
            wait_s = min(_FIRST_WAIT_S * 2 ** min(known.wrong - _FREE, 20), _LONGEST_WAIT_S)
            known.blocked_until_s = now_s + wait_s
        self._addresses[network] = known  # the latest last
        if len(self._addresses) > _MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]

    def _refill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._filled_at_s)
        self._stock = min(float(_STOCK), self._stock + passed_s / _REFILL_S)
        self._filled_at_s = now_s


def network_of(address: str) -> str:
    """Return what one attacker can change least: an IPv4 address, or an IPv6 network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _OWN_NETWORK), strict=False))
    return str(found)
