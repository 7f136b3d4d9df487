"""A station's part in a facility: its key, its connection to the hub, what it sends the hub."""
