"""MPII's official .mat file, small, as scipy writes it.

RELEASE.annolist(i).image.name and .annorect(j) with .scale, .objpos and .annopoints.point(k).x .y .id .is_visible, as
in https://github.com/bearpaw/pytorch-pose/blob/master/miscs/gen_mpii.m, which also shows what may be empty or absent:
annorect, annopoints, is_visible (a number or a character).
"""

import numpy as np

EMPTY = np.zeros((0, 0))


def struct(*rows):
    """MATLAB's 1 x N struct array of dicts; fields that a row lacks are empty."""
    fields = list(dict.fromkeys(k for row in rows for k in row))
    out = np.empty((1, len(rows)), dtype=[(f, object) for f in fields])
    for i, row in enumerate(rows):
        for field in fields:
            out[0, i][field] = row.get(field, EMPTY)
    return out


def point(joint, x, y, visible=EMPTY):
    return {"x": x, "y": y, "id": joint, "is_visible": visible}


def rect(*points, scale=3.25, center=(594, 257)):
    """A person with these points; without any as in the test set."""
    x, y = center
    own = {"scale": scale, "objpos": struct({"x": x, "y": y})}
    return {**own, "annopoints": struct({"point": struct(*points)})} if points else own


def save(path, *images):
    """Write the file; `images` are (name, rects)."""
    from scipy.io import savemat

    annolist = struct(
        *({"image": struct({"name": name}), "annorect": struct(*rects) if rects else EMPTY} for name, rects in images)
    )
    savemat(path, {"RELEASE": struct({"annolist": annolist, "img_train": np.ones((1, len(images)))})})
