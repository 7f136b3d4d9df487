"""Print the sample file, or the reference: `make sample` and `make reference` write them."""

import sys

from agent.settings.generate import reference_markdown, sample_toml

sys.stdout.write(reference_markdown() if "reference" in sys.argv[1:] else sample_toml())
