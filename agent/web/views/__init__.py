"""What the start page and the wall show, read from the outbox and drawn part by part."""
