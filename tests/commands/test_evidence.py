"""Evidence is collected in parts; each part is its own people's."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_refine.commands._evidence import PART, Evidence
from pose_refine.training.decision import Cases, Inputs

PEOPLE = 2 * PART + 5
RNG = np.random.default_rng(0)
ARRAYS = [field.name for field in fields(Inputs) if field.name not in ("real", "coarse")]


def inputs_of(people):
    poses = {name: RNG.random((people, 19, 2), dtype=np.float32) for name in ("poses", "shown", "framed")}
    return Inputs(np.arange(people)[::-1].copy(), others=RNG.random((people, 3, 19, 2)), real=True, **poses)


def told(inputs):
    """Every number of the inputs, as cases: one row a person."""
    rows = [np.reshape(getattr(inputs, name), (len(inputs.rows), -1)) for name in ARRAYS]
    return [Cases(*[torch.as_tensor(np.concatenate(rows, 1, dtype=np.float64))] * len(fields(Cases)))]


@pytest.fixture
def people(tmp_path):
    (tmp_path / "image.jpg").write_bytes(b"x")
    known = {"keypoints": RNG.random((PEOPLE, 19, 2)), "area": RNG.random(PEOPLE), "mpii": np.zeros(PEOPLE, bool)}
    return SimpleNamespace(files=[tmp_path / "image.jpg"], image=np.zeros(PEOPLE, int), **known)


def test_parts_together_are_the_whole(tmp_path, people):
    inputs, seen = inputs_of(PEOPLE), []
    evidence = Evidence(tmp_path / "kept", people, "weights", lambda part: seen.append(len(part.rows)) or told(part))
    assert torch.equal(evidence(inputs)[0].features, told(inputs)[0].features)
    assert seen == [PART, PART, 5]
    assert torch.equal(evidence(inputs)[0].features, told(inputs)[0].features)
    assert len(seen) == 3  # the second time from files


@pytest.mark.parametrize("name", ARRAYS)
def test_a_part_is_named_by_all_it_depends_on(tmp_path, people, name):
    evidence, inputs = Evidence(tmp_path, people, "weights", told), inputs_of(PEOPLE)
    changed = getattr(inputs, name).copy()
    changed[3] = changed[4]
    assert evidence.name(replace(inputs, **{name: changed})) != evidence.name(inputs)
    assert Evidence(tmp_path, people, "others", told).name(inputs) != evidence.name(inputs)
