"""Pictures for people: a take's poster and filmstrip, and a capture's activity."""
