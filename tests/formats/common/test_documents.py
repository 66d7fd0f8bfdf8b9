"""Documents of many images: taken apart, and put together again."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses, formats
from pose_refine.formats import annotations, coco, mpii, posetrack
from pose_refine.formats.common.documents import assemble, frames, is_document

PLAIN = settings(deadline=None, max_examples=60)
NAMES = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
         "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
         "right_ankle"]  # fmt: skip


def result(image_id, x, **more):
    """An entry of COCO results, every joint at (x, 2)."""
    return {"image_id": image_id, "category_id": 1, "keypoints": [x, 2.5, 0.5] * 17, "score": 0.9, **more}


def rect(x):
    return {"track_id": [x], "annopoints": [{"point": [{"id": [0], "x": [x], "y": [2.5], "score": [0.5]}]}]}


# People of image b are between those of image a, so that order matters.
RESULTS = [result(7, 1), result(139, 2), result(7, 3)]
ALPHAPOSE = [result("a.jpg", 1, idx=4), result("b/b.png", 2, idx=5), result("a.jpg", 3, idx=6)]
ANNOTATIONS = {
    "info": {"year": 2017},
    "images": [{"id": 5, "file_name": "nobody.jpg"}, {"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 100, "image_id": 7, "category_id": 1, "num_keypoints": 17, "keypoints": [1, 2.5, 2] * 17},
        {"id": 101, "image_id": 9, "category_id": 1, "num_keypoints": 17, "keypoints": [2, 2.5, 1] * 17},
        {"id": 102, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4]},
        {"id": 103, "image_id": 7, "category_id": 1, "num_keypoints": 17, "keypoints": [3, 2.5, 2] * 17},
        {"id": 104, "image_id": 5, "category_id": 18, "bbox": [1, 2, 3, 4]},
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": NAMES}, {"id": 18, "name": "dog"}],
}
POSETRACK = {
    "annolist": [
        {"image": [{"name": "s/1.jpg"}], "annorect": [rect(1), rect(3)], "imgnum": [1]},
        {"image": [{"name": "s/2.jpg"}], "annorect": [], "imgnum": [2]},
        {"image": [{"name": "s/3.jpg"}], "annorect": [rect(2)], "imgnum": [3], "ignore_regions": []},
    ]
}
MPII = [
    {"image": name, "joints": [[x, 2.5]] * 16, "joints_vis": [1] * 16, "scale": 1.5, "center": [5.0, 6.0]}
    for name, x in (("a.jpg", 1), ("b.jpg", 2), ("a.jpg", 3))
]
# Documents of the same three people, the module that reads their frames, their names.
DOCUMENTS = {
    "COCO results": (RESULTS, coco, ["000000000007.jpg", "000000000139.jpg"]),
    "AlphaPose": (ALPHAPOSE, coco, ["a.jpg", "b/b.png"]),
    "COCO annotations": (ANNOTATIONS, annotations, ["a.jpg", "b.jpg"]),
    "PoseTrack 2017": (POSETRACK, posetrack, ["s/1.jpg", "s/3.jpg"]),
    "MPII": (MPII, mpii, ["a.jpg", "b.jpg"]),
}
EVERY = pytest.mark.parametrize("name", DOCUMENTS)


def moved(frame, shift):
    """The frame as refining gives it back: every joint `shift` pixels to the right."""
    poses = formats.read(frame)
    return formats.write(
        Poses(poses.keypoints + np.float32([shift, 0]), poses.scores, poses.skeleton, poses.ids), frame
    )


def positions(frame):
    """x of each person's first joint, as our pixels."""
    return formats.read(frame).keypoints[:, 0, 0].tolist()


@EVERY
def test_frames_are_one_images_people_in_order(name):
    document, module, names = DOCUMENTS[name]
    first = 0 if name == "MPII" else 1  # MPII counts from 1
    before = json.dumps(document)
    found = frames(document)
    assert [n for n, _ in found] == names
    assert [positions(frame) for _, frame in found] == [[first, first + 2], [first + 1]]
    assert {formats.FORMATS[formats.detect(frame)] for _, frame in found} == {module}
    assert json.dumps(document) == before


@EVERY
def test_unrefined_is_byte_for_byte(name):
    document, _, _ = DOCUMENTS[name]
    found = [(n, formats.write(formats.read(frame), frame)) for n, frame in frames(document)]
    assert json.dumps(assemble(document, found)) == json.dumps(document)


@EVERY
def test_refined_people_come_to_their_places(name):
    document, _, _ = DOCUMENTS[name]
    before = json.dumps(document)
    old = {n: positions(frame) for n, frame in frames(document)}
    refined = [(n, moved(frame, 10 * i)) for i, (n, frame) in enumerate(frames(document), 1)]
    for some_order in (refined, refined[::-1]):
        out = assemble(document, some_order)
        shifts = dict(zip(old, (10, 20), strict=True))
        assert {n: positions(frame) for n, frame in frames(out)} == {
            n: [x + shifts[n] for x in values] for n, values in old.items()
        }
        assert json.dumps(without_positions(out)) == json.dumps(without_positions(document))
    assert json.dumps(document) == before


def without_positions(document):
    """The document without positions: what must be kept."""
    out = deepcopy(document)
    entries = out if isinstance(out, list) else out.get("annotations", [])
    entries = entries or [r for e in out["annolist"] for r in e["annorect"]]
    for entry in entries:
        for key in ("keypoints", "joints", "annopoints"):
            if key in entry:
                entry[key] = None
    return out


@EVERY
def test_some_frames_only(name):
    document, _, _ = DOCUMENTS[name]
    (first, kept), (second, frame) = frames(document)
    out = dict(frames(assemble(document, [(second, moved(frame, 10))])))
    assert positions(out[second]) == [x + 10 for x in positions(frame)]
    assert positions(out[first]) == positions(kept)
    assert assemble(document, []) == document


@EVERY
def test_result_shares_nothing_with_the_document(name):
    document, _, _ = DOCUMENTS[name]
    own = deepcopy(frames(document)[1:])
    before = json.dumps(document)
    spoil(assemble(document, own))
    assert json.dumps(document) == before


def spoil(value):
    """Empty every list and dict in there."""
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            spoil(inner)
    value.clear()


def test_names_from_an_annotation_files_images():
    images = [{"id": 139, "file_name": "val/x.jpg"}, {"id": 7, "file_name": "y.png"}, {"id": 8, "file_name": "z.png"}]
    found = frames(RESULTS, images)
    assert [n for n, _ in found] == ["y.png", "val/x.jpg"]
    assert json.dumps(assemble(RESULTS, found)) == json.dumps(RESULTS)


def test_an_annotation_file_names_its_own_images():
    assert frames(ANNOTATIONS, [])[0][0] == "a.jpg"


def test_a_frame_is_a_document_of_one_image():
    for document, _, _ in DOCUMENTS.values():
        for name, frame in frames(document):
            assert is_document(frame)
            assert frames(frame) == [(name, frame)]


def test_several_entries_of_one_image_are_one_frame():
    document = {"annolist": [{"image": [{"name": "1.jpg"}], "annorect": [rect(i)], "imgnum": [1]} for i in (1, 2)]}
    ((name, frame),) = frames(document)
    assert (name, positions(frame)) == ("1.jpg", [1, 2])
    assert positions(assemble(document, [(name, moved(frame, 5))])) == [6, 7]


@pytest.mark.parametrize("nobody", [[], {"images": [], "annotations": []}, {"annolist": []}], ids=str)
def test_nobody(nobody):
    assert is_document(nobody)
    assert frames(nobody) == []
    assert assemble(nobody, []) == nobody


BOX = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def test_results_that_are_boxes_alone_stay_where_they_are():
    elsewhere = BOX | {"image_id": 8}
    document = [BOX, *RESULTS, elsewhere]
    found = frames(document)
    assert [name for name, _ in found] == DOCUMENTS["COCO results"][2]
    out = assemble(document, [(name, moved(frame, 5)) for name, frame in found])
    assert [out[0], out[-1]] == [BOX, elsewhere]
    assert out[1]["keypoints"][0] == RESULTS[0]["keypoints"][0] + 5


def test_results_without_any_joints_are_frames_to_be_told_of():
    assert frames([BOX]) == [("000000000007.jpg", [BOX])]


@EVERY
def test_is_document(name):
    assert is_document(DOCUMENTS[name][0])


OTHERS = {
    "OpenPose": {"version": 1.3, "people": []},
    "results without images": [{"keypoints": [1, 2, 3] * 17}],
    "mixed": [RESULTS[0], MPII[0]],
    "nested lists": [[1, 2, 3]],
    "annotations alone": {"annotations": []},
    "annotations of another kind": {"images": [], "annotations": {"1": []}},
    "MPII's test set": [{"image": "a.jpg", "center": [1, 2], "scale": 1.5}],
    "text": "results.json",
    "nothing": None,
}


@pytest.mark.parametrize("name", OTHERS)
def test_is_no_document(name):
    assert not is_document(OTHERS[name])
    for act in (lambda d: frames(d), lambda d: assemble(d, []), lambda d: assemble(RESULTS, [("a", d)])):
        with pytest.raises(ValueError, match="expected COCO results or annotations, PoseTrack or MPII JSON, got"):
            act(OTHERS[name])


BAD = {
    "an image that the file does not have": (
        {**ANNOTATIONS, "images": ANNOTATIONS["images"][:2]},
        None,
        "'id' and 'file_name' of each image; 9 is",
    ),
    "an image that the images do not have": (RESULTS, [{"id": 7, "file_name": "y"}], "each image; 139 is not there"),
    "an image without id": (RESULTS, [{"file_name": "a.jpg"}], "expected 'id' of each image"),
    "an annotation of no image": ({"images": [], "annotations": [{"keypoints": []}]}, None, "to tell the image"),
    "an image of no name": ({"annolist": [{"image": []}]}, None, "to tell the image"),
    "an image_id that is a list of numbers": ([{"image_id": [1]}], None, "to tell the image"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    document, images, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        frames(document, images)


FOREIGN = {
    "another image": ([result(8, 1)], "image 8: the document has 0 entries, got 1"),
    "a person more": ([result(139, 1), result(139, 2)], "image 139: the document has 1 entries, got 2"),
    "a person less": ([result(7, 1)], "image 7: the document has 2 entries, got 1"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_frames_that_are_not_the_documents(name):
    frame, words = FOREIGN[name]
    with pytest.raises(ValueError, match=words):
        assemble(RESULTS, [("a.jpg", frame)])


entries = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 99)), max_size=12)


@PLAIN
@given(entries, st.sets(st.integers(0, 4)))
def test_any_order_of_people(people, refined):
    """Whatever the order of images, the refined ones change and nobody changes place."""
    document = [result(image, x, tag=i) for i, (image, x) in enumerate(people)]
    chosen = [(n, moved(frame, 1000)) for n, frame in frames(document) if frame[0]["image_id"] in refined]
    out = assemble(document, chosen)
    assert [e["tag"] for e in out] == list(range(len(people)))
    assert [e["keypoints"][0] for e in out] == [x + 1000 * (image in refined) for image, x in people]


@pytest.mark.parametrize("folder", ["gt", "pred/combined_mess", "pred/duplicates", "pred/empty_frames"])
def test_poseval_example_files(golden_files_folder, folder):
    for path in sorted((golden_files_folder / "posetrack" / folder).glob("*.json")):
        document = json.loads(path.read_text())
        found = frames(document)
        assert [n for n, _ in found] == [e["image"][0]["name"] for e in document["annolist"] if e["annorect"]]
        out = assemble(document, [(n, formats.write(formats.read(frame), frame)) for n, frame in found])
        assert json.dumps(out) == json.dumps(document)
