"""Corrects what 2D human pose estimators get wrong: `refine(image, poses)`.

Nothing is imported before it is asked for: the command line must set up threads before torch is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose_refine.api import refine, refine_many
    from pose_refine.poses import Poses, Refinement
    from pose_refine.refiner import Refiner
    from pose_refine.skeletons import Skeleton

__all__ = ["Poses", "Refinement", "Refiner", "Skeleton", "refine", "refine_many"]
__version__ = "0.2.0"
_HOMES = {
    "Poses": "poses",
    "Refinement": "poses",
    "Refiner": "refiner",
    "Skeleton": "skeletons",
    "refine": "api",
    "refine_many": "api",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A public name, or a module of this package, when it is first used."""
        if name in _HOMES:
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
            globals()[name] = value
            return value
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
