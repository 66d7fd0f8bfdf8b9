"""Every format with damaged objects, JSON and files: refused in words that help, or refined and left alone."""

import json

import numpy as np
import pytest
import torch
from fakes.kinds import KINDS, SHAPE, joints_of
from hypothesis import given
from hypothesis import strategies as st

from fuzz.cases import cases
from fuzz.damage import JSON, OBJECTS, answer, damaged, traits
from fuzz.quick import picture, quick_refiner
from pose_refine import formats
from pose_refine.formats.common import documents
from pose_refine.metrics import ground_truth as people

REFINER = quick_refiner()
IMAGE = picture(*SHAPE)
CHANCE = st.randoms(use_true_random=False)
IN_JSON = [name for name, kind in KINDS.items() if kind[0] in formats.IN_FILES and "array" not in kind[0]]
IN_JSON.remove("MMPose")
IN_JSON.remove("MoveNet")


def made(name, count=2):
    _, joints, make, _ = KINDS[name]
    return make(joints_of(np.random.default_rng(0), count, joints))


def can_be(poses):
    """Whether the library itself lets such an object be: Instances have fields of one length."""
    try:
        for part in poses if isinstance(poses, list) else [poses]:
            for whole in (part, getattr(part, "pred_instances", None)):
                if not isinstance(whole, (torch.Tensor, np.ndarray)) and hasattr(whole, "clone"):
                    whole.clone()
            if hasattr(part, "columns") and any(len(c) != len(part.columns.names) for c in part.columns):
                return False
            if hasattr(part, "get_fields"):
                part[:]
    except Exception:  # whatever the library says
        return False
    return True


def refined(poses):
    """Refine, and look at what comes back."""
    before = traits(poses)
    out = answer(lambda: REFINER.refine(IMAGE, poses))
    assert traits(poses) == before, "what was handed in has been changed"
    if out is not None:
        initial, after = (formats.read(p, shape=SHAPE) for p in (poses, out))
        assert len(after) == len(initial)
        assert np.isfinite(after.keypoints[after.present]).all()
    return out


@pytest.mark.parametrize("name", KINDS)
def test_damaged_objects(name):
    sound = made(name)
    assert refined(sound) is not None

    @cases(0.02)
    @given(CHANCE)
    def damage(chance):
        bad = damaged(chance, sound, OBJECTS)
        if not isinstance(bad, str) and can_be(bad):  # a path
            refined(bad)

    damage()


@cases(0.1)
@given(CHANCE, st.sampled_from(sorted(IN_JSON)), st.sampled_from(sorted(formats.FORMATS)))
def test_damaged_json_of_a_format_that_is_named(chance, name, format):
    bad = damaged(chance, made(name), JSON)
    if not isinstance(bad, str):
        answer(lambda: REFINER.refine(IMAGE, bad, format=format))


@cases(0.1)
@given(CHANCE, st.sampled_from(sorted(IN_JSON)))
def test_damaged_files(tmp_path_factory, chance, name):
    """Bytes that are lost, changed, doubled."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    data = bytearray(json.dumps(made(name)).encode())
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data))
        data[start : start + chance.choice([0, 1, 1, 40])] = chance.choice(
            [b"", b"0", b"\xff", b'"', b"NaN", b"1e999", b"[", b"]", b"{}", b"\0", b"9" * 5000, b"null", data[:30]]
        )
    path.write_bytes(data)
    answer(lambda: REFINER.refine(IMAGE, path))


@cases(0.05)
@given(CHANCE)
def test_damaged_npy(tmp_path_factory, chance):
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    np.save(path, made("array"))
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(chance.choice([10, 128, len(data)]))
        data[start : start + chance.choice([0, 1, 1, 40])] = chance.choice([b"", b"9", b"\xff", b"'", b"(", b"O", b"-"])
    path.write_bytes(data)
    answer(lambda: REFINER.refine(IMAGE, path))


KEYS = sorted(
    {"people", "bodies", "images", "annotations", "annolist", "annorect", "keypoints", "image_id", "image", "joints"}
    | {"pose_keypoints_2d", "instances", "frame_id", "instance_info", "keypoint_scores", "category_id", "id", "name"}
    | {
        "predictions",
        "visualization",
        "categories",
        "annopoints",
        "point",
        "scores",
        "track_id",
        "joints_vis",
        "x",
        "y",
    }
)
TREES = st.recursive(
    st.sampled_from(JSON),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@cases(0.1)
@given(TREES)
def test_any_json(tree):
    if not isinstance(tree, str):
        answer(lambda: REFINER.refine(IMAGE, tree))


DOCUMENTS = ["COCO results", "COCO annotations", "PoseTrack 2018", "MPII"]
OTHERS = {
    "PoseTrack 2017": lambda: {"annolist": [made("PoseTrack 2017")]},
    "OpenPose's in a list": lambda: [made("OpenPose")] * 2,
    "AlphaPose, by image": lambda: {"a.jpg": made("AlphaPose, cmu"), "b.jpg": made("AlphaPose, cmu")},
    "MMPose's frames": lambda: [{"frame_id": n, "instances": made("MMPose's JSON")} for n in (1, 2)],
}


def document(name):
    return OTHERS[name]() if name in OTHERS else made(name)


@cases(0.13)
@given(CHANCE, st.sampled_from([*DOCUMENTS, *OTHERS]))
def test_damaged_documents(chance, name):
    """Taken apart and put together again, they are what they were; or they are refused."""
    bad = damaged(chance, document(name), JSON)
    if not documents.is_document(bad):
        return
    before = traits(bad)
    frames = answer(lambda: documents.frames(bad))
    if frames is not None:
        assert traits(answer(lambda: documents.assemble(bad, frames))) == before
    if not documents.is_by_frame(bad):
        answer(lambda: people.read(bad))
    assert traits(bad) == before
