"""Notifications of events at the station: webhook and MQTT broker."""
