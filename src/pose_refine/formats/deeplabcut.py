"""DeepLabCut's table, one image's row of it: a pandas DataFrame whose columns have the levels scorer, (individuals,)
bodyparts, coords. Never imported: attributes are enough. `table.loc[[frame]]` is such a row, of either kind of file:
pandas.read_hdf(file), or pandas.read_csv(file, header=[0, 1, 2], index_col=0) (with individuals [0, 1, 2, 3]).

Body parts are whatever the project calls them: people's joints are found by name, in the usual spellings; other columns
stay. Most projects are of animals, so that both wrists or both ankles must be there; a horse has elbows, too. Left and
right must be in the names, which those of DeepLabCut's own full_human model (ankle1, ankle2) do not have. A joint is
missing where it is NaN, or as `missing.py` says. Without a likelihood column a missing joint is written only if more
likely right than not.

Layout: https://deeplabcut.github.io/DeepLabCut/docs/standardDeepLabCut_UserGuide.html
"""

from typing import Any

import numpy as np

from pose_refine._types import Floats
from pose_refine.formats import arrays
from pose_refine.formats.annotations import worth_writing
from pose_refine.formats.common.missing import MARKS, lost, without, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import NETWORK, AnySkeleton, get_skeleton, joint_name, skeleton_of

LEVELS = ("bodyparts", "coords")
COORDS = ("x", "y", "likelihood")
ENDS = ({"left_wrist", "right_wrist"}, {"left_ankle", "right_ankle"})
Columns = dict[str, dict[str, list[int | None]]]
EXPECTED = "DeepLabCut's pandas table with column levels bodyparts and coords"


def matches(poses: Any) -> bool:
    names = getattr(getattr(poses, "columns", None), "names", None)
    return isinstance(names, (list, tuple)) and all(level in names for level in LEVELS)


def read(table: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the individuals of one row.

    Args:
        table: A DataFrame of one row.
        skeleton: Name of the skeleton; by default the one whose joints the body parts are, else network19.
        shape: Not needed.

    Raises:
        ValueError: Several rows, or body parts that are no person's.
    """
    row, found, name = _row(table), _columns(table), skeleton or _skeleton(table)
    values = np.full((len(found), len(get_skeleton(name).joints), 3), np.nan, dtype=np.float32)
    for i, parts in enumerate(found.values()):
        for joint, columns in _joints(parts, name).items():
            values[i, joint] = [np.nan if c is None else row[c] for c in columns]
    return Poses(without(values[..., :2], lost(values[..., :2], values[..., 2])), values[..., 2], name, list(found))


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with the joints of `poses`; other body parts and unchanged joints stay."""
    whole = [column for column, kind in like.dtypes.items() if kind.kind in "iu"]  # these would take no others
    before, out = read(like, poses.skeleton), like.astype(dict.fromkeys(whole, float))
    joints, changed = written(poses, MARKS["deeplabcut"]), arrays.changed(poses, before)
    for i, parts in enumerate(_columns(like).values()):
        for joint, columns in _joints(parts, poses.skeleton).items():
            scored = columns[2] is not None
            wanted = changed[i] if scored else worth_writing(joints[i], changed[i], before.present[i])
            for column, new, old in zip(columns, joints[i, joint], before.to_array()[i, joint], strict=True):
                dropped = before.present[i, joint] and not poses.present[i, joint]
                if wanted[joint] and column is not None and new != old and (dropped or not np.isnan(new)):
                    out.iloc[0, column] = float(new)
    return out


def _row(table: Any) -> Floats:
    values = table.to_numpy()
    if len(values) != 1:
        raise ValueError(f"DeepLabCut table: expected one image's row, got {len(values)}; table.loc[[frame]] is one")
    try:
        numbers = np.asarray(values[0], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"DeepLabCut table: expected numbers: {error}") from error
    return as_floats(numbers, "DeepLabCut table")


def _columns(table: Any) -> Columns:
    """Individual to body part to the columns of its x, y and likelihood."""
    names = list(table.columns.names)
    found: Columns = {}
    for index, column in enumerate(table.columns):
        level = dict(zip(names, column, strict=True))
        part = found.setdefault(str(level.get("individuals", "")), {}).setdefault(str(level["bodyparts"]), [None] * 3)
        if level["coords"] in COORDS:
            part[COORDS.index(level["coords"])] = index
    return found


def _skeleton(table: Any) -> str:
    parts = list(dict.fromkeys(part for own in _columns(table).values() for part in own))
    if not any(ends <= {joint_name(p) for p in parts} for ends in ENDS):
        raise ValueError(
            "DeepLabCut table: expected a person's joints, with left and right wrists or ankles, got body parts "
            f"{', '.join(parts)[:200]}"
        )
    return skeleton_of(parts) or NETWORK.name


def _joints(parts: dict[str, list[int | None]], skeleton: AnySkeleton) -> dict[int, list[int | None]]:
    """Index of the joint to its columns; the body parts that the skeleton does not have are left out."""
    joints = get_skeleton(skeleton).joints
    if skeleton_of(list(parts)) == skeleton:
        return dict(enumerate(parts.values()))
    named = {joint_name(p): columns for p, columns in parts.items()}
    return {joints.index(n): columns for n, columns in named.items() if n in joints}
