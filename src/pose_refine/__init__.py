"""Corrects what 2D human pose estimators get wrong: `refine(image, poses)`."""

from pose_refine.api import refine, refine_many
from pose_refine.poses import Poses, Refinement
from pose_refine.refiner import Refiner
from pose_refine.skeletons import Skeleton

__all__ = ["Poses", "Refinement", "Refiner", "Skeleton", "refine", "refine_many"]
__version__ = "0.1.0"
