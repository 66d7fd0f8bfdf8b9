"""Pictures of poses: `viz.draw(image, poses)`."""

from pose_refine.viz.pictures import draw as draw
from pose_refine.viz.pictures import side_by_side as side_by_side
