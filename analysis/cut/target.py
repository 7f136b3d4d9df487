"""The MP4 that a clip is written to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import Container, OutputContainer

from analysis.cut.options import CutOptions

_OPTIONS = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
_CREATED = "creation_time"


@contextmanager
def open_target(path: Path, source: Container, options: CutOptions) -> Iterator[OutputContainer]:
    """Open an MP4 for writing, with what is kept of the capture's metadata.

    Place and device stay here unless they are asked for; when it was filmed always goes along.
    """
    flags = "+faststart+use_metadata_tags" if options.keep_metadata else "+faststart"
    with av.open(str(path), "w", format="mp4", options={**_OPTIONS, "movflags": flags}) as target:
        for name, value in source.metadata.items():
            if name == _CREATED or options.keep_metadata:
                target.metadata[name] = value
        yield target
