"""The recorder: a process that films one camera, and stores only what it was ordered to film."""

import agent.logs  # noqa: F401  # before structlog, which then loads no more than it needs
