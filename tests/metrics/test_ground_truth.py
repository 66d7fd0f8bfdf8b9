"""The people of whole documents, in all layouts: one person with three joints, told in each."""

from copy import deepcopy

import numpy as np
import pytest

from pose_refine.metrics import ground_truth as people
from pose_refine.skeletons import SKELETONS

NAN = float("nan")
PLACES = {"right_ankle": (10.5, 20.25), "left_hip": (30, 40), "head_top": (50.123456789, 60)}


def placed(skeleton, places=PLACES):
    """(K, 2) of these joints, NaN for the others."""
    joints = SKELETONS[skeleton].joints
    out = np.full((len(joints), 2), NAN)
    for name, place in places.items():
        if name in joints:
            out[joints.index(name)] = place
    return out


def flat(skeleton, third, places=PLACES):
    values = np.concatenate([placed(skeleton, places), np.full((len(SKELETONS[skeleton].joints), 1), third)], 1)
    return np.where(np.isnan(values[:, :1]), 0, values).reshape(-1).tolist()


def points(**more):
    joints = SKELETONS["posetrack15"].joints
    return [{"id": [joints.index(n)], "x": [x], "y": [y], **more} for n, (x, y) in PLACES.items()]


def posetrack17(**more):
    person = {"track_id": [4], "x1": [1.0], "y1": [2.0], "x2": [4.0], "y2": [6.0], "annopoints": [{"point": points()}]}
    first = {"image": [{"name": "a.jpg"}], "annorect": [{**person, **more}]}
    return {"annolist": [first, {"image": [{"name": "b.jpg"}], "annorect": []}]}


def posetrack18():
    names = ["head_bottom" if n == "upper_neck" else n for n in SKELETONS["posetrack17"].joints]
    images = [{"id": 1, "file_name": "a.jpg", "vid_id": "000342"}, {"id": 2, "file_name": "b.jpg", "vid_id": "000342"}]
    person = {
        "id": 11,
        "image_id": 1,
        "track_id": 4,
        "category_id": 1,
        "keypoints": flat("posetrack17", 1),
        "scores": [],
    }
    person |= {"bbox_head": [1, 2, 3, 4], "bbox": [0, 0, 100, 200]}
    return {"images": images, "annotations": [person], "categories": [{"id": 1, "name": "person", "keypoints": names}]}


def coco():
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    person = {"id": 11, "image_id": 1, "category_id": 1, "keypoints": flat("coco17", 2), "area": 12.5}
    person |= {"bbox": [0, 0, 100, 200], "iscrowd": 1, "num_keypoints": 2}
    return {"images": images, "annotations": [person]}


def results():
    return [{"image_id": 1, "category_id": 1, "keypoints": flat("coco17", 0.5), "score": 0.75}]


def mpii():
    joints = placed("mpii16") + 1
    vis = (~np.isnan(joints[:, 0])).astype(int).tolist()
    joints = np.where(np.isnan(joints), -1, joints).tolist()
    return [{"image": "a.jpg", "joints": joints, "joints_vis": vis, "head_box": [2, 3, 5, 7]}]


# document, skeleton, score of joints, attributes of the first image
LAYOUTS = {
    "posetrack 2017": (posetrack17(), "posetrack15", NAN, {"ids": [4], "head_boxes": [[1, 2, 4, 6]]}),
    "with scores": (
        posetrack17(annopoints=[{"point": points(score=[0.5])}], score=[0.75]), "posetrack15", 0.5,
        {"person_scores": [0.75]},
    ),
    "posetrack 2018": (
        posetrack18(), "posetrack17", NAN,
        {"ids": [4], "head_boxes": [[1, 2, 4, 6]], "boxes": [[0, 0, 100, 200]], "video": "000342"},
    ),
    "coco annotations": (coco(), "coco17", NAN, {"areas": [12.5], "crowd": [True], "ids": [None]}),
    "coco results": (results(), "coco17", 0.5, {"person_scores": [0.75], "image": 1}),
    "mpii": (mpii(), "mpii16", NAN, {"head_boxes": [[1, 2, 4, 6]]}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    document, skeleton, score, attributes = LAYOUTS[name]
    before = deepcopy(document)
    first, *rest = people.read(document)
    assert document == before
    assert (first.skeleton, len(first), first.looked_at) == (skeleton, 1, True)
    np.testing.assert_allclose(first.keypoints[0], placed(skeleton), rtol=0, atol=1e-12)  # not float32
    present = ~np.isnan(first.keypoints[..., 0])
    np.testing.assert_array_equal(first.scores[present], np.full(present.sum(), score))
    for key, expected in {"image": "a.jpg", **attributes}.items():
        found = getattr(first, key)
        assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected
    assert [(p.image, len(p), p.looked_at) for p in rest] == [("b.jpg", 0, False)] * len(rest)


def test_every_layout_that_lists_images_gives_the_empty_ones():
    assert [len(people.read(d)) for d in (posetrack17(), posetrack18(), coco())] == [2, 2, 2]


def test_results_are_named_by_annotations():
    assert [p.image for p in people.read(results(), images=coco()["images"])] == ["a.jpg"]


def test_results_that_are_boxes_alone_are_left_out():
    box = {"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    assert [(p.image, len(p)) for p in people.read([box, *results()])] == [(1, 1)]


def test_results_with_one_row_a_joint():
    flat = results()
    rows = [{**r, "keypoints": np.reshape(r["keypoints"], (-1, 3)).tolist()} for r in flat]
    for found, expected in zip(people.read(rows), people.read(flat), strict=True):
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)


def test_posetrack_people_without_points():
    """poseval leaves out people without a list of points, and keeps those with an empty one."""
    document = posetrack17()
    box = {"x1": [1], "y1": [2], "x2": [4], "y2": [6], "track_id": [5]}
    for annopoints, count in (({}, 0), ({"annopoints": []}, 0), ({"annopoints": [{"point": []}]}, 1)):
        document["annolist"][1]["annorect"] = [{**box, **annopoints}]
        found = people.read(document)[1]
        assert (len(found), found.looked_at) == (count, True)


def test_ignore_regions():
    old, new = posetrack17(), posetrack18()
    corners = [(0, 0), (9, 0), (9, 9)]
    old["annolist"][0]["ignore_regions"] = [{"point": [{"x": [x], "y": [y]} for x, y in corners]}]
    new["images"][0] |= {"ignore_regions_x": [[0, 9, 9]], "ignore_regions_y": [[0, 0, 9]]}
    for document in (old, new):
        first, second = people.read(document)
        assert [r.tolist() for r in first.ignore_regions] == [[list(c) for c in corners]]
        assert second.ignore_regions == []


def test_flags_tell_what_is_labelled():
    """A place with flag 0 is not labelled, as for pycocotools; 0 as a score is a score."""
    document = coco()
    document["annotations"][0]["keypoints"][:3] = [5, 5, 0]
    assert np.isnan(people.read(document)[0].keypoints[0, 0]).all()
    found = results()
    found[0]["keypoints"][:3] = [5, 5, 0]
    assert people.read(found)[0].keypoints[0, 0].tolist() == [5, 5]


def with_keypoints(names):
    document = coco()
    document["categories"] = [{"id": 1, "keypoints": names}]
    return document


def without_image():
    document = coco()
    document["images"] = document["images"][1:]
    return document


BAD = {
    "unknown joints": (with_keypoints([f"thing{i}" for i in range(17)]), "no skeleton has the joints"),
    "image not listed": (without_image(), "image_id 1 is not among 'images'"),
    "an image without id": ({**coco(), "images": [{"file_name": "a.jpg"}]}, "expected 'id' of each image"),
    "point id of another skeleton": (
        posetrack17(annopoints=[{"point": [{"id": [15], "x": [1], "y": [1]}]}]), "expected points with id 0 to 14, got"
    ),
    "odd lists": ([{"image_id": 1, "keypoints": [1, 2]}], "lists of one length 3 K"),
    "joints nobody knows": ([{"image_id": 1, "keypoints": [1, 2, 1] * 5}], "5 joints need skeleton="),
    "no poses": ([{"image_id": 1, "bbox": [1, 2, 3, 4]}], "expected 'keypoints', got entries like"),
    "boxes": ({**coco(), "annotations": [{**coco()["annotations"][0], "bbox": [1, 2]}]}, "bbox: expected four numbers"),
    "area": ({**coco(), "annotations": [{**coco()["annotations"][0], "area": "x"}]}, "area: expected a number"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_documents(name):
    document, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        people.read(document)
