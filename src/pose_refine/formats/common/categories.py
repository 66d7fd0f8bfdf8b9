"""Which entries of COCO's layouts are people: a file may hold animals and things, too."""

from collections.abc import Hashable, Sequence
from typing import Any

Entry = dict[str, Any]
PERSON, PERSON_ID = "person", 1


def of_category(entries: Sequence[Entry], categories: Any, category: str | None = None) -> list[Entry]:
    """The entries of one category.

    Args:
        entries: COCO's annotations or results; their "category_id" may be absent.
        categories: The "categories" of COCO annotations, None where nothing names them.
        category: Name or id; by default the category named "person". Where none is named so, the only one there is;
            where nothing is named, id 1 if there are several.

    Raises:
        ValueError: No such category, or no telling which one is people.
    """
    wanted = wanted_ids(entries, categories, category)
    return list(entries) if wanted is None else [e for e in entries if e.get("category_id") in wanted]


def wanted_ids(entries: Sequence[Entry], categories: Any, category: str | None = None) -> set[Hashable] | None:
    """Ids of the category that is wanted; None for whatever there is. Arguments and errors as `of_category`."""
    named = _named(categories)
    used = {id for e in entries if isinstance(id := e.get("category_id"), Hashable) and id is not None}
    if category is not None:
        return _asked_for(category, named, used)
    people = {id for id, name in named.items() if name == PERSON}
    if people:
        return {*people, None}
    if len(used) < 2:
        return None
    if not named and PERSON_ID in used:
        return {PERSON_ID, None}
    known = ", ".join(sorted(named.values())) or f"ids {', '.join(sorted(map(str, used)))}"
    raise ValueError(f"categories: expected one named {PERSON!r}, got {known}; --category says which are people")


def _named(categories: Any) -> dict[Hashable, str]:
    """Category id to its name in small letters."""
    given = categories if isinstance(categories, list) else []
    if not all(isinstance(c, dict) for c in given):
        raise ValueError(f"categories: expected dicts with 'id' and 'name', got {str(given)[:80]}")
    return {c["id"]: str(c["name"]).strip().casefold() for c in given if "id" in c and "name" in c}


def _asked_for(category: str, named: dict[Hashable, str], used: set[Any]) -> set[Hashable]:
    asked = str(category).strip().casefold()
    found = {id for id, name in named.items() if name == asked} | {
        id for id in {*named, *used} if str(id).strip().casefold() == asked
    }
    if not found:
        known = ", ".join(sorted({*named.values(), *map(str, named or used)}))
        raise ValueError(f"categories: expected {category!r}, which --category asks for, got {known}")
    return found
