"""Who is let to the page's socket: few at once, few from one address.

Without these limits a neighbour on the network could use up the daemon's file descriptors, and
delivery would suffer from the page; or take every place, and shut the coach out.  They are kept
where connections are accepted: over TLS one only becomes a connection of the server's once it has
shaken hands, which a neighbour may leave undone.  In a crowd, addresses from which a device came
that is let in go first: a neighbour may have as many addresses as the network gives.
"""

import contextlib
import socket
from collections import Counter
from collections.abc import Callable

_MOST = 96  # at once
_MOST_OF_ONE = 24  # of one address; a tablet with a full page of pictures uses six
_MOST_TURNED_AWAY = 64  # at a stretch: whoever is connected has a turn in between
_QUEUE = 64  # connections that wait to be accepted


class PageSocket(socket.socket):
    """A socket that listens, and knows which of its connections are open."""

    def __init__(self, *given: int) -> None:
        """Make a socket of a family, kind and protocol."""
        super().__init__(*given)
        self._open: list[tuple[str, socket.socket]] = []  # from where, the latest last
        self.is_known: Callable[[str], bool] = lambda _address: False

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Return the next connection for which there is a place.

        Raises:
            BlockingIOError: nobody waits, or enough were turned away for now.
        """
        for _ in range(_MOST_TURNED_AWAY):
            connection, address = super().accept()
            if self._lets_in(connection, str(address[0])):
                return connection, address
            connection.close()
        raise BlockingIOError

    def end_all(self) -> bool:
        """End every connection; tell whether some are still open, as the server has not met it."""
        self._open = [(of, one) for of, one in self._open if one.fileno() >= 0]
        for _, connection in self._open:
            with contextlib.suppress(OSError):  # it may have gone by itself
                connection.shutdown(socket.SHUT_RDWR)
        return bool(self._open)

    def _lets_in(self, connection: socket.socket, address: str) -> bool:
        self._open = [(of, one) for of, one in self._open if one.fileno() >= 0]
        held = Counter(of for of, _ in self._open)
        if held[address] >= _MOST_OF_ONE:
            return False
        if len(self._open) >= _MOST and not self._makes_room(address, held):
            return False
        self._open.append((address, connection))
        return True

    def _makes_room(self, address: str, held: Counter[str]) -> bool:
        """End a connection for a new one: of strangers first, of who holds the most of them."""
        others = {of: number for of, number in held.items() if not self.is_known(of)}
        least = held[address] + 2  # so that two who hold much do not end each other in turns
        if self.is_known(address):
            others, least = (others, 1) if others else (dict(held), least)
        greediest = max(others, key=others.__getitem__, default=address)
        if held[greediest] < least:
            return False
        self._end_latest_of(greediest)
        return True

    def _end_latest_of(self, address: str) -> None:
        """End a connection: the server meets its end as if the other side had gone."""
        at = max(at for at, (of, _) in enumerate(self._open) if of == address)
        _, connection = self._open.pop(at)
        with contextlib.suppress(OSError):  # it may have gone by itself
            connection.shutdown(socket.SHUT_RDWR)


def listen_on(listen: str) -> PageSocket:
    """Return a socket that listens on an address such as 127.0.0.1:8377.

    Raises:
        OSError: the address is taken or not this box's.
    """
    host, _, port = listen.rpartition(":")
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )[0]
    listener = PageSocket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_QUEUE)
    except BaseException:
        listener.close()
        raise
    return listener
