"""Crops and initial poses in, keypoints and scores out: the network between its encoding and its decision."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from pose_refine.crops import OKS_UNITS
from pose_refine.encoding import DOUBT, mass_at, mirrored, mirrored_back, network_inputs, peaks, probability_of
from pose_refine.network import Network, NetworkConfig

EVIDENCE = 24  # numbers a joint that the decision sees
GIVEN = 0  # of them: whether the pose claims the joint
HYPOTHESES = 3  # where a joint may be: claimed, found, found while doubting the claim
MARGIN_OF_PROOF = 0.35  # so much better a place far from the claim must be: good joints must stay good


@dataclass(frozen=True)
class Evidence:
    """Where each joint may be, and what speaks for it.

    Attributes:
        places: (B, HYPOTHESES, K, 2) crop pixels: claimed by the initial pose (equal to found where missing), found by
            the network, found by it while it doubts the claim.
        features: (B, K, EVIDENCE).
    """

    places: Tensor
    features: Tensor


def look(
    network: Network,
    image: Tensor,
    initial: Tensor,
    others: Tensor,
    shown: Tensor,
    dtype: torch.dtype = torch.float32,
    *,
    flip: bool = False,
) -> Evidence:
    """Look at crops (B, 3, H, W) with the poses `shown` (B, K, 2), once believing them and once in doubt, and judge the
    initial poses (B, K, 2) by what is found: the same ones at first, better ones the second time.

    With `flip`, at their mirror images too, and both answers' mean is what counts: the flip test of stacked hourglasses
    (Newell et al. 2016), at twice the cost.
    """
    if flip:  # as one batch: a person alone leaves a device half idle
        turned = image.flip(3), mirrored(shown), mirrored(others)
        pairs = zip((image, shown, others), turned, strict=True)
        crops, poses, people = (torch.cat(pair) for pair in pairs)
        both, count = heat_maps(network, crops, poses, people, dtype), image.shape[0]
        logits = (both[:, :count] + mirrored_back(both[:, count:])) / 2
    else:
        logits = heat_maps(network, image, shown, others, dtype)
    return gather_evidence(logits, initial, others, shown)


def heat_maps(network: Network, image: Tensor, shown: Tensor, others: Tensor, dtype: torch.dtype) -> Tensor:
    """The network's heat maps, believing and in doubt: (2, B, K, h, w) logits, float32.

    Only the last layers run twice: doubt touches the fine pose maps alone.
    """
    image, pose8, pose4 = network_inputs(image, shown, others, network.config.size)
    # made on the device: nothing is copied there
    beliefs = torch.linspace(1, DOUBT, 2, dtype=pose4.dtype, device=pose4.device)[:, None]
    with nullcontext() if dtype == torch.float32 else torch.autocast(image.device.type, dtype):
        context = network.context(*network.features(image), pose8)
        logits = network.answers(context, pose4, beliefs)
    return logits.float()


def gather_evidence(logits: Tensor, initial: Tensor, others: Tensor, shown: Tensor) -> Evidence:
    """Compare two looks' heat maps (2, B, K, h, w), believing and in doubt, with the initial pose (B, K, 2), the poses
    of the people nearby (B, M, K, 2) and the pose that was shown (B, K, 2); crop pixels, NaN where missing.

    How far a whole pose lies from what was found tells how good its estimator is: that is how the decision knows
    whom to believe without knowing the estimator.
    """
    logits = logits.contiguous()  # from channels last, once
    probability = probability_of(logits)
    points, peak = peaks(probability)
    found, doubted = points
    missing = torch.isnan(initial[..., 0])
    claimed = torch.where(missing[..., None], found, initial)
    places = torch.stack([claimed, found, doubted], 1)
    given = (~missing).float()
    seen, seen_doubting = mass_at(probability, places.transpose(1, 2).expand(2, -1, -1, -1, -1)).unbind()
    apart = oks_distance(torch.stack([found, doubted, found]), torch.stack([claimed, claimed, doubted]))
    if_given = torch.stack([given, given, torch.ones_like(given)])  # 1 where there is a claim to measure from
    close, theirs = near(apart), taken(places, others)
    kept = near(oks_distance(shown, claimed)).nan_to_num(0) * given  # 1 at the first look: it is the claim itself
    features = [
        given,
        *peak,
        seen[..., 0] * given,
        seen_doubting[..., 0] * given,
        seen[..., 2],
        seen_doubting[..., 1],
        *entropy(logits, probability) / 5,
        *torch.log1p(apart) * if_given,
        *close * if_given,
        theirs[:, 1],
        theirs[:, 0] * given,
        theirs[:, 2],
        kept,
        *mean_over_joints(close, if_given),
        mean_over_joints(peak[0], torch.ones_like(given)),
        mean_over_joints(kept, given),
    ]
    return Evidence(places, torch.stack(features, -1))


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


class Decision(nn.Module):
    """Whom to believe, a joint: how good each hypothesis is, how much it counts among those close to the best, and how
    likely the result is right.

    A person's joints see each other's evidence: that sides are exchanged, or half a pose is a neighbour's, shows in
    several joints at once.
    """

    def __init__(self, joints: int, width: int = 48) -> None:
        super().__init__()
        self.read = nn.Linear(EVIDENCE + joints, width)
        self.mix = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
        self.out = nn.Linear(width, 2 * HYPOTHESES + 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of features (B, K, EVIDENCE) logits of: each hypothesis's similarity to the truth (B, HYPOTHESES, K), its
        weight (B, HYPOTHESES, K), and being right (B, K)."""
        joint = torch.eye(features.shape[1], device=features.device).expand(features.shape[0], -1, -1)
        y: Tensor = self.out(self.mix(self.read(torch.cat([features, joint], -1))))
        quality, weight, right = torch.split(y.transpose(1, 2), [HYPOTHESES, HYPOTHESES, 1], 1)
        return quality, weight, right[:, 0]


def blend(places: Tensor, quality: Tensor, weight: Tensor, given: Tensor) -> Tensor:
    """The best place, averaged with those close to it: the middle of two far places is nobody's joint.

    Args:
        places: (B, HYPOTHESES, K, 2) crop pixels.
        quality: (B, HYPOTHESES, K) expected similarity to the truth, in [0, 1].
        weight: (B, HYPOTHESES, K) logits of how much each counts in that average.
        given: (B, K) 1 where the pose claims a joint, 0 where it is missing.

    Returns:
        (B, K, 2) crop pixels.
    """
    far = 1 - near(oks_distance(places, places[:, :1]))
    best = (quality - MARGIN_OF_PROOF * far * given[:, None]).argmax(1, keepdim=True)
    best = best[..., None].expand(-1, -1, -1, 2)
    apart = oks_distance(places, places.gather(1, best))
    share = (weight - apart.square() / 2).softmax(1)  # by `near`, as a logarithm
    return (places * share[..., None]).sum(1)


class Model(nn.Module):
    """What a weights folder holds.

    Args:
        config: Shape of the network.
        flip: Whether it looks at mirror images too (see `look`).
    """

    def __init__(self, config: NetworkConfig, *, flip: bool = False) -> None:
        super().__init__()
        self.network = Network(config)
        self.decision = Decision(config.joints)
        self.flip = flip

    def forward(
        self, crops: Tensor, initial: Tensor, others: Tensor, shown: Tensor, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Refine one pose a crop.

        Args:
            crops: (B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB.
            initial: (B, K, 2) crop pixels, NaN where missing.
            others: (B, M, K, 2) crop pixels, the poses of M people nearby, NaN where missing; M may be 0.
            shown: (B, K, 2) crop pixels, the poses that the network sees: the initial ones at first, what was found
                the second time.
            dtype: Of the network, by autocast; what comes after it stays float32.

        Returns:
            Keypoints (B, K, 2) crop pixels, and P(within the OKS-0.85 radius) (B, K).
        """
        image = crops.permute(0, 3, 1, 2).to(memory_format=torch.channels_last).float() * (2 / 255) - 1
        evidence = look(self.network, image, initial, others, shown, dtype, flip=self.flip)
        quality, weight, right = self.decision(evidence.features)
        given = evidence.features[..., GIVEN]
        return blend(evidence.places, torch.sigmoid(quality), weight, given), torch.sigmoid(right)
