"""The labelled and the predicted people of the same images, read from files, as the metrics take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_refine._types import Doubles
from pose_refine.metrics.ground_truth import People, nobody
from pose_refine.metrics.multi_person import NO_SCORE, Frame
from pose_refine.metrics.pckh import head_size, there
from pose_refine.metrics.posetrack import ignore
from pose_refine.skeletons import convert, get_skeleton

Pair = tuple[People, People]  # labelled, predicted
SHOWN = 3  # names in a message


def pair(truth: Sequence[People], predicted: Sequence[People]) -> list[Pair]:
    """Bring labels and predictions together by image, in the order of the labels; an image without predictions has
    nobody there.

    Raises:
        ValueError: An image that occurs twice, or that has predictions but no entry in the labels.
    """
    known, images = {people.image: people for people in predicted}, {people.image for people in truth}
    for what, found, names in (("labels", truth, len(images)), ("predictions", predicted, len(known))):
        if names < len(found):
            raise ValueError(f"{what}: expected each image once, got {len(found)} entries for {names} images")
    if strange := [name for name in known if name not in images]:
        raise ValueError(
            f"{len(strange)} of {len(known)} images with predictions are not in the labels: {shown(strange)}; the "
            f"labels have {shown([people.image for people in truth])}"
        )
    return [(people, known.get(people.image, nobody(people.image, people.skeleton))) for people in truth]


def shown(names: Sequence[object]) -> str:
    """The first few, for a message."""
    return ", ".join(map(str, names[:SHOWN])) + (" ..." if len(names) > SHOWN else "")


def never_predicted(pairs: Sequence[Pair], skeleton: str) -> list[str]:
    """Joints that are labelled, but that the predictions' skeleton does not have.

    Raises:
        ValueError: That is all of them.
    """
    labelled, known = (np.zeros(len(get_skeleton(skeleton).joints), dtype=bool) for _ in range(2))
    for truth, predicted in pairs:
        labelled |= there(joints_in(truth, skeleton)).any(0)
        if not len(predicted):
            continue
        source = get_skeleton(predicted.skeleton)
        known |= there(convert(np.zeros((1, len(source.joints), 2)), source, get_skeleton(skeleton)))[0]
    if not (labelled & known).any():
        names = {what: ", ".join(sorted({p[k].skeleton for p in pairs})) for k, what in enumerate(("GT", "PRED"))}
        raise ValueError(f"labels ({names['GT']}) and predictions ({names['PRED']}) have no joint in common")
    return [name for name, lost in zip(get_skeleton(skeleton).joints, labelled & ~known, strict=True) if lost]


def joints_in(people: People, skeleton: str) -> Doubles:
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
    labels, values = joints_in(truth, skeleton), joints_in(predicted, skeleton)
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
    an image in the same order. Images that nobody looked at are left out.

    Raises:
        ValueError: An image with another number of predictions than of labelled people.
    """
    pairs = [p for p in pairs if p[0].looked_at]
    for truth, predicted in pairs:
        if len(truth) != len(predicted):
            raise ValueError(
                f"image {truth.image}: expected one prediction for each of {len(truth)} labelled people, in their "
                f"order, got {len(predicted)}"
            )
    labels, poses = (np.concatenate([joints_in(p[k], skeleton)[..., :2] for p in pairs]) for k in (0, 1))
    return poses, labels, np.concatenate([head_size(truth.head_boxes) for truth, _ in pairs])


def oks_arrays(pairs: Sequence[Pair], skeleton: str) -> dict[str, Any]:
    """Arguments of `oks.oks_ap`, but for the constants."""
    labels, poses = (np.concatenate([joints_in(p[k], skeleton)[..., :2] for p in pairs]) for k in (0, 1))
    return {
        "poses": poses,
        "scores": np.concatenate([predicted.person_scores for _, predicted in pairs]),
        "images": [predicted.image for _, predicted in pairs for _ in range(len(predicted))],
        "truth": labels,
        "areas": np.concatenate([truth.areas for truth, _ in pairs]),
        "truth_images": [truth.image for truth, _ in pairs for _ in range(len(truth))],
        "boxes": np.concatenate([truth.boxes for truth, _ in pairs]),
        "counts": np.concatenate([truth.counts for truth, _ in pairs]),
        "crowd": np.concatenate([truth.crowd for truth, _ in pairs]),
    }
