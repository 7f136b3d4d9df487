"""Print the sample file, or the reference: `make sample` and `make reference` write them."""

import sys

from agent.settings.reference import reference_markdown
from agent.settings.sample import sample_toml

sys.stdout.write(reference_markdown() if "reference" in sys.argv[1:] else sample_toml())
