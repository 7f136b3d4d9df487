"""The hub of a facility: runs the broker, lets stations in, shows and plans them all."""
