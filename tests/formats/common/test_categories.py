"""Files with people and animals."""

import copy

import numpy as np
import pytest

from pose_refine import Poses, formats
from pose_refine.formats.common import documents
from pose_refine.formats.common.categories import of_category
from pose_refine.metrics import ground_truth as people
from pose_refine.metrics.matching import oks_arrays, pair
from pose_refine.metrics.oks import oks_ap, sigmas_of

PERSON, CAT = {"id": 1, "name": "person"}, {"id": 17, "name": "cat", "keypoints": ["nose", "tail"]}
FLAT = [10.0, 20.0, 2] * 17
HUMAN = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": FLAT}
ANIMAL = {"id": 2, "image_id": 1, "category_id": 17, "keypoints": [1.0, 2.0, 2] * 2}
MIXED = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [ANIMAL, HUMAN], "categories": [PERSON, CAT]}
RESULTS = [
    {"image_id": 1, "category_id": 17, "keypoints": [1.0, 2.0, 0.5] * 17, "score": 0.9},
    {"image_id": 1, "category_id": 1, "keypoints": [10.0, 20.0, 0.5] * 17, "score": 0.8},
    {"image_id": 2, "category_id": 17, "bbox": [0, 0, 5, 5], "score": 0.7},
]

WANTED = {  # categories in a file, ids of its entries, what is asked for, and what is read
    "people among animals": ([PERSON, CAT], [1, 17, 1], None, [1, 1]),
    "an id of its own": ([{"id": 4, "name": "Person"}, {"id": 1, "name": "cat"}], [1, 4], None, [4]),
    "asked for by name": ([PERSON, CAT], [1, 17], "Cat", [17]),
    "asked for by id": ([PERSON, CAT], [1, 17], "17", [17]),
    "ids are text": ([{"id": "P1", "name": "person"}, {"id": "D", "name": "dog"}], ["P1", "D"], "p1", ["P1"]),
    "ids alone": (None, [1, 17, 1], None, [1, 1]),
    "ids alone, asked for": (None, [1, 17, 1], "17", [17]),
    "one alone, whatever it is called": ([{"id": 3, "name": "player"}], [3, 3], None, [3, 3]),
    "no categories": (None, [None, None], None, [None, None]),
}
UNCLEAR = {
    "animals alone": ([CAT, {"id": 18, "name": "dog"}], [17, 18], None, "expected one named 'person', got cat, dog"),
    "ids without 1": (None, [0, 16], None, "got ids 0, 16; --category"),
    "no such name": ([PERSON, CAT], [1], "dog", "expected 'dog'"),
    "no such id": (None, [1, 2], "3", "expected '3'"),
}


@pytest.mark.parametrize("name", WANTED)
def test_which_entries_are_read(name):
    categories, ids, asked, wanted = WANTED[name]
    entries = [{"category_id": i} if i is not None else {} for i in ids]
    assert [e.get("category_id") for e in of_category(entries, categories, asked)] == wanted


@pytest.mark.parametrize("name", UNCLEAR)
def test_who_is_people_must_be_clear(name):
    categories, ids, asked, words = UNCLEAR[name]
    with pytest.raises(ValueError, match=words):
        of_category([{"category_id": i} for i in ids], categories, asked)


@pytest.mark.parametrize("given", [MIXED, RESULTS[:2]], ids=["annotations", "results"])
def test_only_people_are_read_and_written(given):
    before = copy.deepcopy(given)
    poses = formats.read(given)
    assert poses.keypoints.tolist() == [[[10, 20]] * 17]
    out = formats.write(Poses(poses.keypoints + 1, poses.scores, poses.skeleton, poses.ids), given)
    entries = out if isinstance(out, list) else out["annotations"]
    assert entries[0] == (given if isinstance(given, list) else given["annotations"])[0]
    assert formats.read(out).keypoints.tolist() == [[[11, 21]] * 17]
    assert given == before


@pytest.mark.parametrize("category", [None, "17"])
def test_documents_are_taken_apart_and_put_together(category):
    results = [*RESULTS[:2], {**RESULTS[1], "image_id": 3}]
    found = documents.frames(results, None, category)
    assert [name for name, _ in found] == ["000000000001.jpg"] if category else ["000000000001.jpg", "000000000003.jpg"]
    moved = [(name, [{**p, "score": 0} for p in frame]) for name, frame in found]
    out = documents.assemble(results, moved, category)
    assert [e["score"] for e in out] == ([0, 0.8, 0.8] if category else [0.9, 0, 0])


def random_labels(rng, images=6):
    """People, cats, crowds, people of whom nothing counts, and odd flags."""
    annotations = []
    for image in range(images):
        for _ in range(int(rng.integers(1, 5))):
            flags = rng.choice([0, 1, 2, 3, -1], 17, p=[0.3, 0.2, 0.4, 0.05, 0.05])
            flat = np.concatenate([rng.uniform(0, 200, (17, 2)), flags[:, None]], -1).reshape(-1).tolist()
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": int(rng.choice([1, 1, 17])),
                "keypoints": flat,
                "num_keypoints": int((flags > 0).sum() * rng.choice([0, 1, 1, 1])), "bbox": [10.0, 10.0, 150.0, 150.0],
                "area": float(rng.uniform(2000, 30000)), "iscrowd": int(rng.random() < 0.1),
            })  # fmt: skip
    names = [{"id": i, "file_name": f"{i % 4}.jpg"} if i % 3 else {"id": i} for i in range(images)]
    return {"images": names, "annotations": annotations, "categories": [PERSON, {"id": 17, "name": "cat"}]}


def random_results(rng, labels):
    """A guess for each label, of its category or another; image ids in any spelling."""
    results = []
    for label in labels["annotations"]:
        joints = np.reshape(label["keypoints"], (17, 3)) + np.append(rng.normal(0, 4, 2), 0)
        joints[:, 2] = rng.random(17)
        image = rng.choice([label["image_id"], float(label["image_id"]), str(label["image_id"])])
        category = label["category_id"] if rng.random() < 0.8 else 18 - label["category_id"]
        results.append({"image_id": image.item() if hasattr(image, "item") else image, "category_id": category,
                        "keypoints": joints.reshape(-1).tolist(), "score": float(rng.random())})  # fmt: skip
    return results


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_pycocotools_own(seed):
    """Of people, with a cat's prediction on a person and the other way round, images that share a name or have none."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    labels = random_labels(rng)
    results = random_results(rng, labels)
    truth = coco.COCO()
    truth.dataset = copy.deepcopy(labels)
    truth.createIndex()
    known = truth.loadRes([{**r, "image_id": int(float(r["image_id"]))} for r in copy.deepcopy(results)])
    official = cocoeval.COCOeval(truth, known, "keypoints")
    official.params.catIds = [1]
    for step in ("evaluate", "accumulate", "summarize"):
        getattr(official, step)()
    read = people.read(labels), people.read(results, images=labels["images"], categories=labels["categories"])
    ours = oks_ap(**oks_arrays(pair(*read), "coco17"), sigmas=sigmas_of("coco17"))
    wanted = np.where(official.stats < 0, np.nan, official.stats * 100)
    np.testing.assert_allclose(list(ours.values()), wanted, atol=1e-6)
