"""Entry point of `python -m agent`, which is `spotter`."""

from agent.cli import main

if __name__ == "__main__":
    main()
