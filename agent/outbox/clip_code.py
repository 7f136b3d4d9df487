"""The clip code: the short name by which a clip is found again at the API."""

import hashlib

CODE_LENGTH = 10
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: read aloud without doubt
_BITS = 5


def derive_clip_code(capture_sha256: str, take_number: int, generation: int = 0) -> str:
    """Return the code of one sending of one take: 10 Crockford base32 characters.

    Derived and never random, so that a rebuilt database gives every clip the code that its
    session title at the API already carries.

    Args:
        capture_sha256: hex digest of the capture as the camera wrote it.
        take_number: 1 for the first take of the capture.
        generation: raised when the same take is sent again under another athlete.
    """
    digest = hashlib.sha256(f"{capture_sha256}/{take_number}/{generation}".encode()).digest()
    bits = int.from_bytes(digest, "big") >> (len(digest) * 8 - CODE_LENGTH * _BITS)
    return "".join(
        _CROCKFORD[(bits >> shift) & 31] for shift in range((CODE_LENGTH - 1) * _BITS, -1, -_BITS)
    )


def is_clip_code(text: str) -> bool:
    """Tell whether `text` has the form of a clip code, in either case."""
    return len(text) == CODE_LENGTH and set(text.lower()) <= set(_CROCKFORD)
