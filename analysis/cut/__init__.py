"""Cuts one clip from a capture; every frame of it is the capture's own.

clip decides, copying and encoding make the file, sound goes along if asked for, and proof looks
at the result before anybody believes it.
"""
