"""The process that films: `spotter record` becomes `python -m agent.recorder NAME DESCRIPTOR`."""

import sys

from agent.logs import configure_logs
from agent.recorder.policy import RecorderPolicy
from agent.recorder.run import run_recorder


def main() -> None:
    """Film by the policy that a descriptor holds; the name before it tells processes apart."""
    with open(int(sys.argv[2]), encoding="utf-8") as handed:  # noqa: PTH123  # no path
        policy = RecorderPolicy.from_json(handed.read())
    configure_logs()
    run_recorder(policy)


if __name__ == "__main__":
    main()
