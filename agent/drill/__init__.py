"""Fault-injection self-tests on the real box, against the sandbox, in a scratch folder."""
