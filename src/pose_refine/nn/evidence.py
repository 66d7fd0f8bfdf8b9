"""Where each joint may be, and what speaks for it: the network between its encoding and the decision."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from pose_refine.crops.geometry import OKS_UNITS
from pose_refine.nn.encoding import (
    DOUBT,
    joint_mirror,
    mass_at,
    mirrored,
    mirrored_back,
    network_inputs,
    peaks,
    probability_of,
    two_sided,
)
from pose_refine.nn.network import Network, meant

GIVEN = 0  # of what the decision sees of a joint: whether the pose claims it
THEIRS = -1  # and whether it is meant as MPII's
MOST_VIEWS = 2  # of a crop: with the pose, and its mirror image without
HYPOTHESES = 4  # where a joint may be: claimed, found, agreed upon by what is found with and without the claim, alone
AGREEMENT = 2  # which of these is the one agreed upon
EVIDENCE = 50  # numbers a joint that the decision sees
FAR = 10.0  # OKS units: further apart is the same to the decision
MOST_SHRUNK = 5.0  # a person is seen at 1 / 2 ** 5 of the crop's resolution at least


@dataclass(frozen=True)
class Evidence:
    """Where each joint may be, and what speaks for it.

    Attributes:
        places: (B, HYPOTHESES, K, 2) crop pixels: claimed by the initial pose (equal to found where missing), found by
            the network, found by the mean of this answer and the next, found by it where it does not know the claim.
        features: (B, K, EVIDENCE) of each joint. The maps are three, as of `combined`; each finds a place, its peak.

            1   whether the pose claims the joint
            3   mass of each map's peak
            3   mass of each map at the claim
            6   mass of each map at the peaks of the other two
            3   entropy of each map
            6   log(1 + distance), OKS units: of the claim from each peak, and between these
            6   the same as similarities
            4   similarity of each place to the nearest such joint of the people nearby
            1   similarity of the claim to the pose that was shown
            1   detail: how much of the person can be seen
            4   similarity of each place to that of the mirror joint
            10  means over the person's joints: of the 6 similarities, of the 3 peaks' masses, and of the claim to what
                was shown
            1   whether there were two views
            1   whether the joints are meant as MPII's
    """

    places: Tensor
    features: Tensor


class Prompt(NamedTuple):
    """What the network is told of each crop beside its pixels; coordinates are crop pixels, NaN where missing.

    Attributes:
        initial: (B, K, 2) the poses that are to be judged.
        others: (B, M, K, 2) poses of M people nearby; M may be 0.
        shown: (B, K, 2) the poses that the network sees: of the initial ones what can be one body's at first, what was
            found the second time.
        detail: (B,) image pixels a crop pixel.
        mpii: (B,) bool, whether the joints are meant as MPII's.
        trust: (B,) how far the initial poses are believed, in [0, 1], see `margin`; NaN for the model's own.
    """

    initial: Tensor
    others: Tensor
    shown: Tensor
    detail: Tensor
    mpii: Tensor
    trust: Tensor


def look(
    network: Network, image: Tensor, prompt: Prompt, dtype: torch.dtype = torch.float32, *, views: int = 1
) -> Evidence:
    """Look at crops (B, 3, H, W) with the poses that are shown, and judge the initial poses by what is found: the same
    ones at first, better ones the second time. With one view it is done twice, the second time in doubt of the pose.

    With two `views`, another network looks at their mirror images, without the pose: what it finds owes nothing to
    the claim, and little to the first network's errors. It costs about as much as the first.
    """
    found = heat_maps(network, image, prompt, dtype, views=views, doubt=views == 1)
    return gather_evidence(combined(found), prompt, views)


def heat_maps(
    network: Network, image: Tensor, prompt: Prompt, dtype: torch.dtype, *, views: int, doubt: bool
) -> list[Tensor]:
    """What the network says of each view: logits (L, B, K, h, w), float32, as they lie in the crop itself; believing
    the pose (L = 1), or with `doubt` also in doubt (L = 2) where a pose is shown.

    Only the last layers run twice for doubt: it touches the fine pose maps alone.
    """
    shown, others, count = prompt.shown, prompt.others, image.shape[0]
    if views > 1:  # as one batch: a person alone leaves a device half idle
        image = torch.cat([image, image.flip(3)])
        shown, others = torch.cat([shown, torch.full_like(shown, torch.nan)]), torch.cat([others, mirrored(others)])
    inputs = network_inputs(image, shown, others, network.config.size)
    own, rest = ([each[part] for each in inputs] for part in (slice(count), slice(count, None)))
    # made on the device: nothing is copied there
    beliefs = torch.linspace(1, DOUBT, 2, dtype=own[2].dtype, device=image.device)[: 1 + doubt, None]
    with nullcontext() if dtype == torch.float32 else torch.autocast(image.device.type, dtype):
        maps = [network.answers(network.context(*own), own[2], beliefs)]
        if views > 1:
            maps.append(network.alone(*rest)[None])
    told = [meant(each, prompt.mpii).float() for each in maps]
    return [mirrored_back(each) if view else each for view, each in enumerate(told)]


def combined(found: list[Tensor]) -> Tensor:
    """Of `heat_maps`: believing the pose, without it, and the mean of both between them, (3, B, K, h, w). With one view
    the other two are those in doubt.

    A mean of logits is a product of what both hold likely: it is precise where they agree, and nobody's alone.
    """
    if len(found) == 1:
        return torch.cat([found[0], found[0][1:]])
    posed, alone = found[0][:1], found[1]
    return torch.cat([posed, (posed + alone) / 2, alone])


def gather_evidence(logits: Tensor, prompt: Prompt, views: int) -> Evidence:
    """Compare what was found, the (3, B, K, h, w) maps `combined` of so many `views`, with the initial pose, with the
    poses of the people nearby and with the pose that was shown.

    How far a whole pose lies from what was found tells how good its estimator is: that is how the decision knows
    whom to believe without knowing the estimator.
    """
    logits = logits.contiguous()  # from channels last, once
    probability = probability_of(logits)
    points, peak = peaks(probability)
    missing = torch.isnan(prompt.initial[..., 0])
    given = (~missing).float()
    claimed = torch.where(missing[..., None], points[0], prompt.initial)
    places = torch.stack([claimed, *points], 1)
    apart, told = distances(claimed, points, given)
    close = near(apart)
    kept = near(oks_distance(prompt.shown, claimed)).nan_to_num(0) * given  # 1 at the first look, where it was shown
    features = [
        given,
        *peak,
        *masses(probability, places, given),
        *entropy(logits, probability) / 5,
        *torch.log1p(apart) * told,
        *close * told,
        *if_given(taken(places, prompt.others), given),
        kept,
        seen(prompt.detail)[:, None].expand_as(given),
        *if_given(twins(places), given),
        *mean_over_joints(close, told),
        *mean_over_joints(peak, torch.ones_like(given)),
        mean_over_joints(kept, given),
        torch.full_like(given, float(views > 1)),
        prompt.mpii.to(given.dtype)[:, None].expand_as(given),
    ]
    return Evidence(places, torch.stack(features, -1))


def masses(probability: Tensor, places: Tensor, given: Tensor) -> list[Tensor]:
    """How likely each map (3, B, K, h, w) holds the claim, and then what the other two found, nine times (B, K)."""
    maps = range(len(probability))
    mass = mass_at(probability, places.transpose(1, 2).expand(len(maps), -1, -1, -1, -1))  # (3, B, K, 4 places)
    return [*(mass[..., 0] * given), *(mass[one, ..., 1 + other] for one in maps for other in maps if one != other)]


def distances(claimed: Tensor, points: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """How far the claim (B, K, 2) is from each of the points (3, B, K, 2), and these from each other, OKS units up to
    FAR, (6, B, K); and which of these tell anything, 1 or 0: of a joint that is missing those between points alone."""
    looks = range(len(points))
    pairs = [(one, other) for one in looks for other in range(one)]
    apart = oks_distance(
        torch.stack([*points, *(points[one] for one, _ in pairs)]),
        torch.stack([claimed for _ in looks] + [points[other] for _, other in pairs]),
    )
    told = torch.stack([given for _ in looks] + [torch.ones_like(given) for _ in pairs])
    return apart.clamp(max=FAR), told


def if_given(values: Tensor, given: Tensor) -> list[Tensor]:
    """Values (B, HYPOTHESES, K), one place after the other; 0 for a claim that is missing."""
    claim, *found = values.unbind(1)
    return [claim * given, *found]


def seen(detail: Tensor) -> Tensor:
    """Image pixels a crop pixel (B,) as a power of two, from -1, nearly nothing, to 0: more shows no more."""
    return torch.log2(detail).clamp(-MOST_SHRUNK, 0) / MOST_SHRUNK


def twins(places: Tensor) -> Tensor:
    """Similarity of places (B, P, K, 2) to their mirror joints', (B, P, K), in [0, 1]: are two limbs in one place?"""
    mirror = joint_mirror(places.device)
    return near(oks_distance(places, places[:, :, mirror])) * two_sided(places.device)


def entropy(logits: Tensor, probability: Tensor) -> Tensor:
    """-sum p log p of each map (..., h, w).

    log p is x less a constant, which the peak tells: no logarithm a cell.
    """
    x, p = logits.flatten(-2), probability.flatten(-2)
    return x.amax(-1) - p.amax(-1).log() - (x * p).sum(-1)


def near(distance: Tensor) -> Tensor:
    """Similarity of a distance in OKS units, in [0, 1]."""
    return torch.exp(-distance.square() / 2)


def mean_over_joints(values: Tensor, weight: Tensor) -> Tensor:
    """The person's weighted mean, at each joint, of values (..., K)."""
    mean = (values * weight).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True).clamp_min(1)
    return mean.expand_as(values)


def oks_distance(a: Tensor, b: Tensor) -> Tensor:
    """Distance of joints (..., K, 2), crop pixels, in OKS_UNITS."""
    distance: Tensor = torch.linalg.vector_norm(a - b, dim=-1) / oks_units(a.device)
    return distance


@cache
def oks_units(device: torch.device) -> Tensor:
    """OKS_UNITS, copied to a device once, as `encoding.joint_mirror`."""
    with torch.inference_mode(False):
        return torch.as_tensor(OKS_UNITS, device=device)


def taken(points: Tensor, others: Tensor) -> Tensor:
    """Similarity of joints (B, P, K, 2) to the nearest such joint of the others (B, M, K, 2), in [0, 1]: is it theirs?

    Returns:
        (B, P, K).
    """
    if not others.shape[1]:
        return torch.zeros_like(points[..., 0])
    return near(oks_distance(points[:, :, None], others[:, None])).nan_to_num(0).amax(2)
