"""Damaging files the way disks, cables and hostile people do, the same way for the same seed."""

import random
from collections.abc import Callable


def mutated(content: bytes, seed: int) -> bytes:
    """Return a damaged copy: bits flipped, the end lost, or pieces swapped, repeated or blanked."""
    chance = random.Random(seed)
    damages = chance.sample(_DAMAGES, k=chance.choice((1, 1, 2)))
    for damage in damages:
        content = damage(content, chance)
    return content


def _flip_bits(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 8, 64, 512))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _flip_bits_of_the_head(content: bytes, chance: random.Random) -> bytes:
    head = min(len(content), 2048)
    return _flip_bits(content[:head], chance) + content[head:]


def _truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def _lose_the_start(content: bytes, chance: random.Random) -> bytes:
    return content[chance.randrange(1, max(2, len(content) // 4)) :]


def _blank(content: bytes, chance: random.Random) -> bytes:
    first, behind = _stretch(content, chance)
    return content[:first] + b"\0" * (behind - first) + content[behind:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    first, behind = _stretch(content, chance)
    return content[:behind] + content[first:behind] * chance.choice((1, 3)) + content[behind:]


def _swap_pieces(content: bytes, chance: random.Random) -> bytes:
    cuts = sorted(chance.randrange(len(content) + 1) for _ in range(3))
    a, b, c = cuts
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _swap_boxes(content: bytes, chance: random.Random) -> bytes:
    """Swap two top-level boxes of an MP4; of other files, two pieces."""
    boxes, at = [], 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8 or at + size > len(content):
            return _swap_pieces(content, chance)
        boxes.append(content[at : at + size])
        at += size
    if len(boxes) < 2:
        return _swap_pieces(content, chance)
    first, second = chance.sample(range(len(boxes)), 2)
    boxes[first], boxes[second] = boxes[second], boxes[first]
    return b"".join(boxes) + content[at:]


def _stretch(content: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(content))
    return first, min(len(content), first + chance.choice((16, 512, 8192)))


_DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    *(_flip_bits, _flip_bits_of_the_head, _truncate, _lose_the_start),
    *(_blank, _repeat, _swap_pieces, _swap_boxes),
]
