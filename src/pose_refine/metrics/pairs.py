"""The labelled and the predicted people of the same images, read from files, as the metrics take them."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_refine._types import Doubles
from pose_refine.formats.people import People, nobody
from pose_refine.metrics.multi_person import NO_SCORE, Frame
from pose_refine.metrics.pckh import head_size
from pose_refine.metrics.posetrack import ignore
from pose_refine.skeletons import convert, get_skeleton

log = logging.getLogger(__name__)
Pair = tuple[People, People]  # labelled, predicted
SHOWN = 3  # names in a message


def pair(truth: Sequence[People], predicted: Sequence[People]) -> list[Pair]:
    """Bring labels and predictions together by image, in the order of the labels.

    Raises:
        ValueError: An image that occurs twice, or has predictions but no entry in the labels; no people at all.
    """
    known = {people.image: people for people in predicted}
    images = [people.image for people in truth]
    for what, found in (("labels", truth), ("predictions", predicted)):
        if len({people.image for people in found}) < len(found):
            raise ValueError(f"{what}: an image occurs twice")
        if not any(map(len, found)):
            raise ValueError(f"{what}: expected people, got none in {len(found)} images")
    if strange := [name for name in known if name not in set(images)]:
        raise ValueError(
            f"images: {len(strange)} of {len(known)} images with predictions are not in the labels: "
            f"{', '.join(map(str, strange[:SHOWN]))}; the labels have {', '.join(map(str, images[:SHOWN]))} ..."
        )
    skeleton = predicted[0].skeleton
    return [(people, known.get(people.image) or nobody(people.image, skeleton)) for people in truth]


def without_prediction(pairs: Sequence[Pair]) -> list[object]:
    """Images of labelled people for which the predictions have no entry."""
    return [truth.image for truth, predicted in pairs if len(truth) and not predicted.looked_at]


def never_predicted(pairs: Sequence[Pair], skeleton: str) -> list[str]:
    """Joints that are labelled, but that the predictions' skeleton does not have."""
    joints = get_skeleton(skeleton).joints
    labelled = {j for t, _ in pairs for j in np.flatnonzero(~np.isnan(_in(t, skeleton)[..., 0]).all(0))}
    source = get_skeleton(pairs[0][1].skeleton)
    known = ~np.isnan(convert(np.zeros((1, len(source.joints), 2)), source, get_skeleton(skeleton))[0, :, 0])
    return [name for j, name in enumerate(joints) if j in labelled and not known[j]]


def _in(people: People, skeleton: str) -> Doubles:
    """(N, K, 3) x, y, score in that skeleton."""
    values = np.concatenate([people.keypoints, people.scores[..., None]], -1)
    converted: Doubles = convert(values, get_skeleton(people.skeleton), get_skeleton(skeleton))
    return converted


def frames(pairs: Sequence[Pair], skeleton: str) -> list[Frame]:
    """Frames for mAP and tracking, cleaned up as poseval does.

    Images without any entry in the labels are left out, with their predictions: nobody looked at them. Joints in ignore
    regions are taken out, and then people without joints. A joint without score ranks last.

    Args:
        pairs: From `pair`.
        skeleton: Whose joints count; joints that a document lacks are missing there.
    """
    return [_frame(*p, skeleton) for p in pairs if p[0].looked_at]


def _frame(truth: People, predicted: People, skeleton: str) -> Frame:
    labels, values = _in(truth, skeleton), _in(predicted, skeleton)
    labelled, some = ignore(labels[..., :2], truth.ignore_regions)
    poses, chosen = ignore(values[..., :2], truth.ignore_regions)
    return Frame(
        labelled[some],
        head_size(truth.head_boxes)[some],
        poses[chosen],
        np.where(np.isnan(values[..., 2]), NO_SCORE, values[..., 2])[chosen],
        [truth.ids[i] for i in np.flatnonzero(some)],
        [predicted.ids[i] for i in np.flatnonzero(chosen)],
    )


def one_to_one(pairs: Sequence[Pair], skeleton: str) -> tuple[Doubles, Doubles, Doubles]:
    """Predictions (N, K, 2), labels (N, K, 2) and head sizes (N,) of people of whom each has one prediction: those of
    an image in the same order.

    Raises:
        ValueError: An image with another number of predictions than of labelled people.
    """
    for truth, predicted in pairs:
        if len(truth) != len(predicted):
            raise ValueError(
                f"image {truth.image}: expected one prediction for each of {len(truth)} labelled people, in their "
                f"order, got {len(predicted)}"
            )
    labels, poses = (np.concatenate([_in(p[k], skeleton)[..., :2] for p in pairs]) for k in (0, 1))
    return poses, labels, np.concatenate([head_size(truth.head_boxes) for truth, _ in pairs])


def oks_arrays(pairs: Sequence[Pair], skeleton: str) -> dict[str, Any]:
    """Arguments of `oks.oks_ap`, but for the constants."""
    labels, poses = (np.concatenate([_in(p[k], skeleton)[..., :2] for p in pairs]) for k in (0, 1))
    return {
        "poses": poses,
        "scores": np.concatenate([predicted.person_scores for _, predicted in pairs]),
        "images": [predicted.image for _, predicted in pairs for _ in range(len(predicted))],
        "truth": labels,
        "areas": np.concatenate([truth.areas for truth, _ in pairs]),
        "truth_images": [truth.image for truth, _ in pairs for _ in range(len(truth))],
        "boxes": np.concatenate([truth.boxes for truth, _ in pairs]),
        "crowd": np.concatenate([truth.crowd for truth, _ in pairs]),
    }
