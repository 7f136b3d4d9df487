"""Print the sample file: `make sample` writes it to config/."""

import sys

from agent.settings.sample import sample_toml

sys.stdout.write(sample_toml())
