"""Cuts."""

import numpy as np
import pytest

from pose_refine.video.shots import shots
from pose_refine.video.stages import Frame

RNG = np.random.default_rng(0)
UP, ACROSS = np.mgrid[0:96, 0:128].astype(np.float32)


def scene(value):
    """(96, 128, 3) uint8."""
    return np.repeat(np.clip(value, 0, 255)[..., None], 3, -1).astype(np.uint8)


SUNSET, WALL = scene(250 - 2.5 * UP), scene(128 + 100 * np.sign(np.sin(ACROSS / 10)))
NEXT = {
    "the same image": (SUNSET, SUNSET, False),
    "another scene": (SUNSET, WALL, True),
    "another scene, nearly as bright everywhere": (SUNSET, scene(128 + 20 * np.sin(ACROSS / 10)), True),
    "a light goes on": (SUNSET, scene(300 - 2.5 * UP), False),
    "the camera moves by a twentieth": (SUNSET, np.roll(SUNSET, 5, 0), False),
    "somebody passes": (SUNSET, np.where((abs(ACROSS - 60) < 15)[..., None], 0, SUNSET).astype(np.uint8), False),
    "noise": (*RNG.integers(0, 256, (2, 96, 128, 3), dtype=np.uint8), False),
    "another size": (SUNSET, SUNSET[:90], True),
    "black, and black": (np.zeros_like(SUNSET), np.zeros_like(SUNSET), False),
}


def shots_of(*images):
    given = [Frame(n, i, "rgb", None, None, [], (1, 1) if i is None else i.shape[:2]) for n, i in enumerate(images)]
    found = list(shots(given))
    assert [frame for _, frame in found] == given
    return [shot for shot, _ in found]


@pytest.mark.parametrize("name", NEXT)
def test_a_cut_is_where_nothing_is_as_before(name):
    before, now, cut = NEXT[name]
    assert shots_of(before, now) == [0, int(cut)]
    assert shots_of(now, before) == [0, int(cut)]


def test_frames_without_an_image_belong_to_the_shot_before():
    assert shots_of(None, SUNSET, None, SUNSET, None, WALL, None, WALL, SUNSET) == [0, 0, 0, 0, 0, 1, 1, 1, 2]
