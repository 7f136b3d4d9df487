"""Which codecs this box can read and write."""

READ = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1", "aac", "pcm_s16le")
WRITTEN = ("libx264",)


def missing_codecs() -> list[str]:
    """Return the names of codecs that cameras use, or clips need, and that are not there."""
    from av.codec import Codec, codecs_available

    def lacks(name: str, mode: str) -> bool:
        if name not in codecs_available:
            return True
        try:
            Codec(name, "w" if mode == "w" else "r")
        except ValueError:
            return True
        return False

    return [name for name in READ if lacks(name, "r")] + [n for n in WRITTEN if lacks(n, "w")]
