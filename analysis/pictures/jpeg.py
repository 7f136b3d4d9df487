"""Pictures as files."""

from pathlib import Path

import cv2

from analysis.image import Image

_QUALITY = 85


def write_jpeg(image: Image, path: Path) -> None:
    """Write a picture.

    Raises:
        OSError: it could not be written, most likely for want of space.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done  # a picture of bytes can always be encoded
    path.write_bytes(encoded.tobytes())
