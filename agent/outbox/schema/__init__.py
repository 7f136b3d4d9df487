"""The tables of the outbox, how they came to be, and how an older one is brought up to date."""
