import numpy as np
import pytest
import torch

from pose_refine import Poses
from pose_refine.formats.common import missing
from pose_refine.formats.common import two_arrays as pairs

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))
KEYPOINTS = np.arange(1, 2 * 17 * 2 + 1, dtype=np.float32).reshape(2, 17, 2)
SCORES = np.linspace(0.25, 0.75, 2 * 17, dtype=np.float32).reshape(2, 17)

# Scores of a person, which of them are low, and which joints were not found.
PEOPLE = {
    "one low": ([0, 0.5, 0.9], [True, False, False]),
    "all low": ([0, 0, 0], [False, False, False]),
    "low or unknown": ([0, np.nan, np.nan], [False, False, False]),
    "low, known and unknown": ([0, 0.5, np.nan], [True, False, False]),
    "none low": ([1, 1, 1], [False, False, False]),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_unfound(name):
    scores, expected = PEOPLE[name]
    values = np.array([scores, [0.5, 0.5, 0.5]], np.float32)
    assert missing.unfound(values, values <= 0).tolist() == [expected, [False] * 3]


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_put_keeps_kind_dtype_and_device(dtype, device):
    keypoints = torch.from_numpy(KEYPOINTS).to(device, dtype).requires_grad_()
    scores = torch.from_numpy(SCORES).to(device, dtype)
    before = pairs.read(pairs.as_array(keypoints), pairs.as_array(scores), "coco17")
    points, values = before.keypoints.copy(), before.scores.copy()
    points[1, 5], values[1, 5] = (101.5, 102.5), 0.125
    out = pairs.put(Poses(points, values, "coco17"), before, keypoints, scores)
    for new, old, joint in zip(out, (keypoints, scores), ([101.5, 102.5], 0.125), strict=True):
        assert new.dtype == dtype
        assert new.device == old.device
        assert new[1, 5].tolist() == torch.tensor(joint, dtype=dtype).tolist()
        new[1, 5] = old[1, 5].detach()
        assert torch.equal(new, old)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_whole_pixels_are_the_nearest(kind):
    keypoints, scores = kind(KEYPOINTS.round().astype(np.int64)), kind(SCORES)
    before = pairs.read(pairs.as_array(keypoints), pairs.as_array(scores), "coco17")
    points = before.keypoints.copy()
    points[1, 5] = 101.75, 102.25
    out, _ = pairs.put(Poses(points, before.scores, "coco17"), before, keypoints, scores)
    assert out.dtype == keypoints.dtype
    assert out[1, 5].tolist() == [102, 102]


BAD = {
    "flat": (KEYPOINTS.reshape(2, 34), SCORES, r"got \(2, 34\) and \(2, 17\)"),
    "triplets": (np.ones((2, 17, 3)), SCORES, r"got \(2, 17, 3\)"),
    "other scores": (KEYPOINTS, SCORES[:1], r"\(1, 17\)"),
    "infinite scores": (KEYPOINTS, SCORES * np.float32(np.inf), "scores: expected finite"),
    "words": (np.full((2, 17, 2), "x"), SCORES, "keypoints: expected numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    keypoints, scores, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        pairs.read(keypoints, scores, None)
