"""A video at the sandbox's storage host, and names that lead where a test says."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.api.downloads import Pace, Storage
from agent.api.transfer import Timeouts
from agent.clock import read_clock
from agent.disk.state_folder import part_of
from agent.errors import DownloadError
from agent.results.videos import ResumableFile
from agent.sandbox.server import Sandbox
from tests.analysed import mp4

VIDEO = mp4(400_000)
MOST = 2_000_000


@dataclass(slots=True)
class Names:
    """A resolver that knows a few names, and says each answer once where there are several."""

    # A minimal system has no /etc/hosts that knows localhost.
    known: dict[str, list[Sequence[str]]] = field(
        default_factory=lambda: {"localhost": [["127.0.0.1"]]}
    )
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.known.get(host)
        if answers is None:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(place[0]) for *_, place in found]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass(slots=True)
class World:
    """A file that is to come from the sandbox's storage host."""

    sandbox: Sandbox
    final: Path
    names: Names = field(default_factory=Names)
    api_url: str = ""
    times: Timeouts = field(default_factory=Timeouts)
    link: str = ""

    def storage(self, check: Callable[[], None] = lambda: None) -> Storage:
        return Storage(
            self.api_url or self.sandbox.base_url,
            now=read_clock,
            timeouts=self.times,
            ca_file=self.sandbox.ca_file if self.sandbox.tls else None,
            check=check,
            resolve=self.names,
        )

    def fetch(self, link: object = None, *, pace: Pace = lambda _progress: None) -> bytes:
        with ResumableFile(self.final, now=read_clock) as part:
            self.storage().fetch(
                self.link if link is None else link, part, most_bytes=MOST, pace=pace
            )
        return part_of(self.final).read_bytes()

    def refused(self, kind: type[DownloadError], link: object = None) -> str:
        with pytest.raises(kind) as refused:
            self.fetch(link)
        assert "signature" not in str(refused.value)
        return str(refused.value)

    @property
    def kept_bytes(self) -> int:
        return part_of(self.final).stat().st_size if part_of(self.final).exists() else 0
