"""From a stretch of a capture to one clip, every frame of it the capture's own.

clip decides, copying and encoding make the file, sound goes along if asked for, and proof looks
at the result before anybody believes it.
"""
