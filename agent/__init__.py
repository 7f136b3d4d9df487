"""Spotter: the agent beside a gym station."""

__version__ = "0.2.0"
