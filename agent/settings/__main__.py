"""Prints the sample file or the reference, for `make sample` and `make reference`."""

import sys

from agent.settings.generate import reference_markdown, sample_toml

sys.stdout.write(reference_markdown() if "reference" in sys.argv[1:] else sample_toml())
