"""The drawn athlete: a figure that the pose model takes for a person, filmed as a camera would.

Its joints and the timing of every movement are known exactly, which makes it the ground truth
of the tests and the camera of the demo.
"""

from agent.sandbox.drawn import storyboards
from agent.sandbox.drawn.camera import Camera
from agent.sandbox.drawn.scene import draw_frame
from agent.sandbox.drawn.storyboard import Effort, Segment, Storyboard, Truth

__all__ = ["Camera", "Effort", "Segment", "Storyboard", "Truth", "draw_frame", "storyboards"]
