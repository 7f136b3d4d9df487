"""The coach's page: who is on the station, and the last takes.

Served by the daemon in a thread of its own.  It reads and writes the outbox as the commands do;
nothing of delivery rests on it.
"""
