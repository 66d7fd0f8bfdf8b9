"""What the site's build does beside mkdocs: links out of `docs/` lead to the repository, where those files are."""

import re
from typing import Any

OUTSIDE = re.compile(r"(?<=\]\()\.\./([^)\s]+)(?=\))")


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return OUTSIDE.sub(rf"{config['repo_url'].rstrip('/')}/blob/main/\1", markdown)
