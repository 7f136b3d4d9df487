"""Spotter: the agent beside a gym station."""

__version__ = "0.1.0"
