"""OKS by hand, beside pycocotools, and average precision beside pycocotools on the same files."""

import contextlib
import io
import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_refine.metrics import ground_truth as people
from pose_refine.metrics.matching import oks_arrays, pair
from pose_refine.metrics.oks import MEASURES, oks, oks_ap, oks_recall, sigmas_of, similarity
from pose_refine.skeletons import SIGMAS

NAN = float("nan")
TWO = np.array([0.05, 0.1])  # constants of two made-up joints
COCO17 = sigmas_of("coco17")


def person(*joints):
    return np.array([joints], dtype=np.float64)


# truth, poses, similarity: area 100, so that a joint's distance of 2 sigma sqrt(100) r has similarity exp(-r^2 / 2).
SIMILARITIES = {
    "exact": (person((3, 4), (5, 6)), person((3, 4), (5, 6)), [1, 1]),
    "1 and 2 px off": (person((0, 0), (0, 0)), person((1, 0), (0, 2)), [np.exp(-0.5), np.exp(-0.5)]),
    "2 px off each": (person((0, 0), (0, 0)), person((2, 0), (2, 0)), [np.exp(-2), np.exp(-0.5)]),
    "not labelled": (person((NAN, NAN), (0, 0)), person((1, 0), (0, 0)), [0, 1]),
    "not predicted": (person((0, 0), (0, 0)), person((NAN, NAN), (0, 0)), [0, 1]),
}


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarity(name):
    truth, poses, expected = SIMILARITIES[name]
    np.testing.assert_allclose(similarity(poses, truth, np.array([100.0]), TWO), [expected], rtol=1e-12)


# OKS is the mean over labelled joints: what is not predicted pulls it down, what is not labelled does not count.
OKS = {
    "exact": 1,
    "1 and 2 px off": np.exp(-0.5),
    "2 px off each": (np.exp(-2) + np.exp(-0.5)) / 2,
    "not labelled": 1,
    "not predicted": 0.5,
}


@pytest.mark.parametrize("name", OKS)
def test_oks(name):
    truth, poses, _ = SIMILARITIES[name]
    np.testing.assert_allclose(oks(poses, truth, np.array([100.0]), TWO), [OKS[name]], rtol=1e-12)


def test_oks_of_somebody_without_labels_is_not_defined():
    assert np.isnan(oks(person((1, 1), (1, 1)), person((NAN, NAN), (NAN, NAN)), np.array([100.0]), TWO)).all()


def test_recall():
    """Of two people one is exact, the other within OKS .72: .50, .55, .60, .65 and .70 of ten thresholds are passed."""
    truth, area = np.full((2, 19, 2), np.nan, dtype=np.float32), np.array([4000, 4000], dtype=np.float32)
    truth[:, :5] = 50
    poses = truth.copy()
    joints = np.ones(19, dtype=bool)
    assert oks_recall(poses, truth, area, joints) == 100
    poses[1, :5] += 1000
    assert oks_recall(poses, truth, area, joints) == 50
    radius = 2 * SIGMAS[:5] * np.sqrt(-2 * 4000 * np.log(0.72))
    poses[1, :5, 0], poses[1, :5, 1] = 50 + radius, 50
    assert oks_recall(poses, truth, area, joints) == pytest.approx(75)


def test_recall_of_joints_that_do_not_count():
    truth, area = np.full((1, 17, 2), 50.0), np.array([4000.0])
    poses = truth.copy()
    poses[0, 5:] += 1000
    assert oks_recall(poses, truth, area, np.arange(17) < 5, COCO17) == 100
    assert oks_recall(poses, truth, area, np.arange(17) >= 5, COCO17) == 0


def test_constants_by_name():
    """CrowdPose publishes .79 and .79 (tenths) for head and neck; its other joints are COCO's."""
    np.testing.assert_allclose(sigmas_of("crowdpose14"), [*COCO17[5:], 0.079, 0.079])
    with pytest.raises(ValueError, match="no OKS constant is known for pelvis, thorax of mpii16"):
        sigmas_of("mpii16")


def cocos_oks(poses, truth, area):
    """pycocotools' OKS of one person."""
    flat = np.concatenate([np.nan_to_num(truth), np.where(np.isnan(truth[:, :1]), 0, 2)], 1).reshape(-1)
    evaluation = COCOeval(iouType="keypoints")
    evaluation._gts[1, 1] = [{"keypoints": flat, "bbox": [0, 0, 1, 1], "area": area}]
    evaluation._dts[1, 1] = [{"keypoints": np.concatenate([poses, poses[:, :1]], 1).reshape(-1), "score": 1}]
    return evaluation.computeOks(1, 1)[0, 0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(10, 1e5), st.integers(1, 17))
def test_oks_is_pycocotools(seed, area, labelled):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 500, (17, 2))
    poses = truth + rng.normal(0, 10, (17, 2))
    truth[rng.permutation(17)[labelled:]] = np.nan
    ours = oks(poses[None], truth[None], np.array([area]), COCO17)
    np.testing.assert_allclose(ours, cocos_oks(poses, truth, area), rtol=1e-5, atol=1e-9)


def documents(seed, images=12):
    """COCO annotations and results as files have them: crowds, people without keypoints, false and missed people."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 4)):
            size = rng.uniform(20, 200)
            x, y = rng.uniform(0, 400, 2)
            joints = rng.uniform(0, size, (17, 2)) + np.array([x, y])
            flags = rng.integers(0, 3, 17) * (rng.random() < 0.9)
            kept = np.where(flags[:, None] > 0, joints, 0).round(1)
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": 1, "area": float(size**2 * 0.5),
                "bbox": [float(x), float(y), float(size), float(size)], "iscrowd": int(rng.random() < 0.1),
                "num_keypoints": int((flags > 0).sum()),
                "keypoints": np.concatenate([kept, flags[:, None]], 1).reshape(-1).tolist(),
            })  # fmt: skip
            if rng.random() < 0.9:
                noise = rng.normal(0, size * rng.choice([0.01, 0.05, 0.2]), (17, 2))
                results.append(result(image, joints + noise, rng))
        if rng.random() < 0.3:
            results.append(result(image, rng.uniform(0, 400, (17, 2)), rng))
    listed = [{"id": i, "file_name": f"{i}.jpg"} for i in range(images)]
    return {"images": listed, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}, results


def result(image, joints, rng):
    flat = np.concatenate([joints.round(2), rng.uniform(0.1, 1, (17, 1))], 1).reshape(-1).tolist()
    return {"image_id": image, "category_id": 1, "keypoints": flat, "score": float(rng.uniform())}


def cocos_ap(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [NAN if v < 0 else 100 * v for v in evaluation.stats]


@pytest.mark.parametrize("seed", range(5))
def test_ap_is_pycocotools_on_the_files(seed, capsys):
    truth, results = documents(seed)
    pairs = pair(people.read(truth), people.read(results, images=truth["images"]))
    ours = oks_ap(**oks_arrays(pairs, "coco17"), sigmas=COCO17)
    assert list(ours) == list(MEASURES)
    np.testing.assert_allclose(list(ours.values()), cocos_ap(truth, results), rtol=0, atol=1e-9)
    assert capsys.readouterr().out == ""


def test_ap_by_hand():
    """Two people; the better scored prediction is nobody: precision 1/2 and 2/3 at recall 1/2 and 1, envelope 2/3."""
    truth = np.full((2, 17, 2), 50.0)
    truth[1] += 200
    poses = np.stack([truth[0] + 5000, truth[0], truth[1]])
    ours = oks_ap(poses, np.array([0.9, 0.8, 0.7]), "aab", truth, np.array([5000.0, 20000.0]), "ab", sigmas=COCO17)
    assert [ours["AP"], ours["AP50"], ours["AR"]] == pytest.approx([100 * 2 / 3, 100 * 2 / 3, 100])


BAD = {
    "score NaN": ({"scores": np.array([NAN])}, "scores: expected 1 finite numbers"),
    "area missing": ({"areas": np.array([NAN])}, "areas: expected 1 finite numbers"),
    "other joints": ({"poses": np.zeros((1, 16, 2))}, r"poses: expected shape \(1, 17, 2\), got \(1, 16, 2\)"),
    "nobody": (
        {"poses": np.zeros((0, 17, 2)), "scores": np.zeros(0), "images": []},
        "got 0 predicted",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    changed, message = BAD[name]
    good = {
        "poses": np.zeros((1, 17, 2)), "scores": np.ones(1), "images": ["a"], "truth": np.zeros((1, 17, 2)),
        "areas": np.ones(1), "truth_images": ["a"], "sigmas": COCO17,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        oks_ap(**{**good, **changed})


def test_pycocotools_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ImportError, match=r'pip install "pose-refine\[eval\]"'):
        oks_ap(np.zeros((1, 17, 2)), np.ones(1), ["a"], np.zeros((1, 17, 2)), np.ones(1), ["a"], sigmas=COCO17)
