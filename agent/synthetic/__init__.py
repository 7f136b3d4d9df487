"""The synthetic athlete: a figure that the pose model recognises as a person, with ground truth.

Its joints and the timing of every movement are known exactly, which makes it the ground truth
of the tests and the camera of the demo.

From the bottom up: `body` (joints from a posture), `curves` and `movements` (postures over time),
`lifts`, `jumps`, `gait` and the `repertoire` of them all, `performance` (a script, followed);
`lens` (space to pixels), `storyboard` (a script with its truth), `storyboards` (those with
names); `brush`, `anatomy` and `figure` (a drawn body), `equipment`, `room` and `scene` (a drawn
picture), `layers` (what disturbs it), `camera` (the file).  A new movement is an entry of the
repertoire, a new disturbance a class in `layers`.
"""

from agent.synthetic import storyboard
from agent.synthetic.camera import SceneCamera
from agent.synthetic.performance import Segment
from agent.synthetic.render import draw_frame
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
