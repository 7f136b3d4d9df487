"""Where a link leads: the addresses of its host, each judged before it is asked."""

import socket
from collections.abc import Callable, Sequence

from agent.api.public_address import Address, read_address, why_not_public
from agent.errors import HostUnreachableError, UnfitError

_MOST_TRIED = 4  # addresses of one name

Resolve = Callable[[str, int], Sequence[str]]


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host's name, as this box knows them.

    Raises:
        OSError, UnicodeError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class Addresses:
    """The addresses that links of one API may lead to."""

    def __init__(self, api_host: str, resolve: Resolve) -> None:
        """Judge for one API.

        Args:
            api_host: only where that is in no public network itself, its own addresses may be
                asked too.
            resolve: finds the addresses of a name.
        """
        self._api_host = api_host
        self._resolve = resolve

    def of(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host that may be asked.

        Raises:
            UnfitError: none may.
            HostUnreachableError: the host is not found.
        """
        found = self._resolved(host, port)
        refused: dict[Address, str] = {}
        own: set[Address] | None = None
        for address in found:
            why = why_not_public(address)
            if why is not None:
                own = self._own_addresses() if own is None else own
                if address not in own:
                    refused[address] = why
        allowed = [address for address in found if address not in refused]
        if not allowed and refused:
            address, why = next(iter(refused.items()))
            raise UnfitError(f"{host} leads to {address}, which is {why}: not asked")
        return allowed[:_MOST_TRIED]

    def _own_addresses(self) -> set[Address]:
        """Return the API's own addresses, for where it is in no public network itself."""
        try:
            return set(self._resolved(self._api_host, 0))
        except HostUnreachableError:
            return set()

    def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            return [read_address(text) for text in self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            raise HostUnreachableError(f"{host} cannot be found in the network") from None
