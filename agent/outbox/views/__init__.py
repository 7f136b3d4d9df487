"""The outbox as people and scripts look at it; nothing here changes anything."""
