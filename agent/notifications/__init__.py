"""Telling others what happens at the station: a webhook, an MQTT broker."""
