"""Parameter sets of H.264 and HEVC: the headers that decoding begins with.  Pure.

They stand in the container, in the packets, or in both; where a recorder changes its picture's
size midway, those in the packets differ from the container's.  An MP4 of the type avc1 or hvc1
has them in one place in front, so they must be those of its own stretch.

Source: ITU-T H.264, 7.3.1 and 7.3.2; H.265, 7.3.1 and 7.3.2; ISO/IEC 14496-15, 5.3.3 and 8.3.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

CODECS = frozenset({"h264", "hevc"})
_START = b"\x00\x00\x01"
_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}  # SPS, PPS; VPS, SPS, PPS
_PICTURES = {"h264": range(1, 6), "hevc": range(32)}

Key = tuple[int, int]  # type and number


@dataclass(slots=True)
class ParameterSets:
    """The sets in force, by type and number."""

    codec: str
    length_bytes: int  # before each unit; 0: start codes stand between them
    known: dict[Key, bytes] = field(default_factory=dict)

    @classmethod
    def of_container(cls, codec: str, extradata: bytes | None) -> "ParameterSets":
        """Read what a container tells in front."""
        if codec not in CODECS:
            return cls(codec, 0)
        told = extradata or b""
        length_bytes = _length_bytes(codec, told)
        sets = cls(codec, length_bytes)
        units = _configured(codec, told) if length_bytes else _between_start_codes(told)
        sets.known = dict(sets._keyed(units))
        return sets

    def in_packet(self, packet: bytes) -> dict[Key, bytes]:
        """Return the sets that come with a packet, before its picture."""
        return dict(self._keyed(self._before_picture(packet)))

    def has_start_codes(self, packet: bytes) -> bool:
        """Tell whether a packet has start codes though the container announces lengths.

        Some AVIs are so; no first unit is a single byte long.
        """
        return self.length_bytes == 4 and packet[:4] == b"\x00" + _START

    def without_sets(self, packet: bytes, *, start_codes: bool) -> bytes:
        """Return a packet without them, its units between start codes or behind their lengths."""
        kept = [unit for unit in self._units(packet) if self._kind(unit) not in _SETS[self.codec]]
        if start_codes:
            return b"".join(b"\x00" + _START + unit for unit in kept)
        return b"".join(len(unit).to_bytes(self.length_bytes, "big") + unit for unit in kept)

    def told(self) -> bytes:
        """Return the sets as a container's headers, between start codes."""
        ordered = sorted(self.known.items())
        return b"".join(b"\x00" + _START + unit for _, unit in ordered)

    def _keyed(self, units: Iterator[bytes]) -> Iterator[tuple[Key, bytes]]:
        for unit in units:
            kind = self._kind(unit)
            if kind in _SETS[self.codec]:
                whole = unit.rstrip(b"\x00")
                yield (kind, _number(self.codec, kind, whole)), whole

    def _before_picture(self, packet: bytes) -> Iterator[bytes]:
        for unit in self._units(packet):
            if self._kind(unit) in _PICTURES[self.codec]:
                return
            yield unit

    def _units(self, packet: bytes) -> Iterator[bytes]:
        if not self.length_bytes or self.has_start_codes(packet):
            yield from _between_start_codes(packet)
            return
        at = 0
        while at + self.length_bytes < len(packet):
            begins = at + self.length_bytes
            at = begins + int.from_bytes(packet[at:begins], "big")
            yield packet[begins:at]

    def _kind(self, unit: bytes) -> int:
        if not unit:
            return -1
        return unit[0] & 0x1F if self.codec == "h264" else unit[0] >> 1 & 0x3F


def _length_bytes(codec: str, extradata: bytes) -> int:
    if extradata[:1] != b"\x01" or len(extradata) < 7:
        return 0
    if codec == "h264":
        return (extradata[4] & 3) + 1
    return (extradata[21] & 3) + 1 if len(extradata) > 22 else 0


def _configured(codec: str, told: bytes) -> Iterator[bytes]:
    """Yield the units of an avcC or hvcC box."""
    if codec == "h264":
        at = 6
        for _ in range(told[5] & 0x1F):
            at, unit = _sized(told, at)
            yield unit
        count = told[at] if at < len(told) else 0
        at += 1
        for _ in range(count):
            at, unit = _sized(told, at)
            yield unit
        return
    at = 23
    for _ in range(told[22]):
        count = int.from_bytes(told[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            at, unit = _sized(told, at)
            yield unit


def _sized(told: bytes, at: int) -> tuple[int, bytes]:
    ends = at + 2 + int.from_bytes(told[at : at + 2], "big")
    return ends, told[at + 2 : ends]


def _between_start_codes(stream: bytes) -> Iterator[bytes]:
    at = stream.find(_START)
    while at >= 0:
        following = stream.find(_START, at + 3)
        ends = len(stream) if following < 0 else following
        yield stream[at + 3 : ends].rstrip(b"\x00") if following >= 0 else stream[at + 3 :]
        at = following


def _number(codec: str, kind: int, unit: bytes) -> int:
    """Return the number by which pictures and other sets refer to a set."""
    bits = _Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00"))
    if codec == "h264":
        bits.skip(8 if kind == 8 else 32)
        return bits.exp_golomb()
    if kind == 32:
        bits.skip(16)
        return bits.take(4)
    if kind == 34:
        bits.skip(16)
        return bits.exp_golomb()
    bits.skip(20)
    layers = bits.take(3)
    bits.skip(1 + 88 + 8)
    has = [(bits.take(1), bits.take(1)) for _ in range(8)] if layers else []
    for has_profile, has_level in has[:layers]:
        bits.skip(88 * has_profile + 8 * has_level)
    return bits.exp_golomb()


class _Bits:
    """Reads bits from the front; behind the end all are 0."""

    def __init__(self, content: bytes) -> None:
        self._content = content[:128]
        self._at = 0

    def skip(self, count: int) -> None:
        self._at += count

    def take(self, count: int) -> int:
        taken = 0
        for _ in range(count):
            byte = self._content[self._at >> 3] if self._at >> 3 < len(self._content) else 0
            taken = taken << 1 | byte >> (7 - (self._at & 7)) & 1
            self._at += 1
        return taken

    def exp_golomb(self) -> int:
        zeros = 0
        while zeros < 16 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
