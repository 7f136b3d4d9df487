"""What a picture is in memory.  Pure."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3), RGB, C-contiguous
Grey = NDArray[np.uint8]  # (height, width), brightness, usually small
