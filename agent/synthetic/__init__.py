"""The synthetic athlete: a figure that the pose model recognises as a person, with ground truth.

Its joints and the timing of every movement are known exactly, which makes it the ground truth
of the tests and the camera of the demo.

From the bottom up: `body` (joints from a posture), `motions` (postures over time),
`performance` (a script, followed), `storyboard` (a script with its truth, and those with names),
`shapes` (space to pixels, and what disturbs them), `render` (the picture, and the file).
"""

from agent.synthetic import storyboard
from agent.synthetic.performance import Segment
from agent.synthetic.render import SceneCamera, draw_frame
from agent.synthetic.storyboard import Bystander, Effort, Storyboard, Truth

__all__ = [
    "Bystander",
    "Effort",
    "SceneCamera",
    "Segment",
    "Storyboard",
    "Truth",
    "draw_frame",
    "storyboard",
]
