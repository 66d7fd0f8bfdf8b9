"""HTML pages, from the templates that come with the package. They need nothing beside themselves."""

import math
from typing import Any

from pose_refine import __version__


def render(template: str, **values: Any) -> str:
    """A page. Whatever it is filled with stays text, also where that looks like HTML.

    Args:
        template: Name of the file in pose_refine/templates.
        values: What the template asks for, by name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only who wants a page waits for it

    templates = Environment(
        loader=PackageLoader("pose_refine"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(number=number, spoken=spoken)
    return templates.get_template(template).render(values, version=__version__)


def number(value: float, digits: int = 2) -> str:
    """A dash where there is nothing to say."""
    return "\u2013" if math.isnan(value) else f"{value:.{digits}f}"


def spoken(joint: str) -> str:
    return joint.replace("_", " ")
