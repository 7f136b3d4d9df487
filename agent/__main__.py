"""`python -m agent` is `spotter`."""

from agent.cli import main

if __name__ == "__main__":
    main()
