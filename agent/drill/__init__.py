"""The drill: faults rehearsed on the real box, against the sandbox, in a scratch folder."""
