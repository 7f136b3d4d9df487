"""What is wrong with a capture, in words a coach understands.

`remarks` knows the codes, their texts and how serious each is; the other modules each look at
one kind of evidence: the `light`, the `framing` of the body, the `timing` of the frames, and the
camera's `stance`.
"""
