"""What the line takes, measured from the uploads on record.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.outbox.traffic import Sending

RECENT = 20  # so many uploads are looked at
_FADE = 0.8  # how much less each counts than the one after it
_MOST_THROTTLED = 0.2  # more of the time, and it was the cap that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """What the line gives."""

    bytes_s: float  # while a body goes out
    overhead_s: float  # on top for each clip: connecting, and waiting for the answer


def measure(sendings: Sequence[Sending]) -> Goodput | None:
    """Return what recent uploads say of the line; None where there were none.

    Bytes and seconds are summed apart, the older ones fading: a mean of rates would let many
    small clips outweigh a large one.  Uploads under a cap of our own tell only that the line
    takes that much, so they never lower what others have shown.

    Args:
        sendings: recent uploads, the newest first.
    """
    if not sendings:
        return None
    free = [one for one in sendings if one.throttled_s <= _MOST_THROTTLED * one.sending_s]
    answered = [one for one in sendings if one.is_delivered]
    overheads = [max(0.0, one.seconds - one.sending_s) for one in answered]
    fading = [_FADE**n for n in range(len(overheads))]
    waits = sum(weight * wait for weight, wait in zip(fading, overheads, strict=True))
    return Goodput(
        bytes_s=max(_rate(sendings), _rate(free)),
        overhead_s=waits / sum(fading) if fading else 0.0,
    )


def _rate(sendings: Sequence[Sending]) -> float:
    size_bytes = sum(_FADE**n * one.size_bytes for n, one in enumerate(sendings))
    seconds = sum(_FADE**n * one.sending_s for n, one in enumerate(sendings))
    return size_bytes / max(seconds, 1e-3)
