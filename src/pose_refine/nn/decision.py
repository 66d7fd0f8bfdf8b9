"""Whom to believe, joint by joint, and how far."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from pose_refine.nn.evidence import EVIDENCE, HYPOTHESES, THEIRS, near, oks_distance

TRUST = 0.5  # how far initial poses are believed where nobody says, in [0, 1]
# Trust -> so much better a place far from the claim must be, in expected similarity, for good joints to stay good: at 0
# the claim never wins, at 1/4 it has no advantage, at 1/2 that of a judge who wants proof, at 1 nearly all there is.
MARGINS = {0.0: -1.0, 0.25: 0.0, 0.5: 0.2, 1.0: 0.8}
UNCOUNTED = 1e-6  # share of the claim in an average at trust 0


class Decision(nn.Module):
    """Whom to believe, a joint: how good each hypothesis is, how much it counts among those close to the best, and how
    likely the result is right.

    A person's joints see each other's evidence: that sides are exchanged, or half a pose is a neighbour's, shows in
    several joints at once. Whose labels are meant counts for scores alone: how exact these are is no reason to believe
    a claim.
    """

    def __init__(self, joints: int, width: int = 48) -> None:
        super().__init__()
        self.read = nn.Linear(EVIDENCE - 1 + joints, width)
        self.mix = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
        self.out = nn.Linear(width, 2 * HYPOTHESES + 1)
        self.theirs = nn.Parameter(torch.zeros(joints))  # by so many logits more likely right, as MPII means it

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of features (B, K, EVIDENCE) logits of: each hypothesis's similarity to the truth (B, HYPOTHESES, K), its
        weight (B, HYPOTHESES, K), and being right (B, K)."""
        y: Tensor = self.out(self.told(features))
        quality, weight, right = torch.split(y.transpose(1, 2), [HYPOTHESES, HYPOTHESES, 1], 1)
        return quality, weight, right[:, 0] + self.theirs * features[..., THEIRS]

    def told(self, features: Tensor) -> Tensor:
        """What the evidence (B, K, EVIDENCE) comes to before the last layer, (B, K, width)."""
        joint = torch.eye(features.shape[1], device=features.device).expand(features.shape[0], -1, -1)
        mixed: Tensor = self.mix(self.read(torch.cat([features[..., :THEIRS], joint], -1)))
        return mixed


def margin(trust: Tensor) -> Tensor:
    """How much better a place far from the claim must be: MARGINS, and on straight lines between."""
    total = torch.full_like(trust, MARGINS[0.0])
    for (low, below), (high, above) in pairwise(MARGINS.items()):
        total = total + (above - below) * ((trust - low) / (high - low)).clamp(0, 1)
    return total


def blend(places: Tensor, quality: Tensor, weight: Tensor, given: Tensor, trust: Tensor) -> Tensor:
    """The best place, averaged with those close to it: the middle of two far places is nobody's joint.

    The more a claim is trusted, the better must be what moves it; below TRUST it counts less in the average, too.

    Args:
        places: (B, HYPOTHESES, K, 2) crop pixels.
        quality: (B, HYPOTHESES, K) expected similarity to the truth, in [0, 1].
        weight: (B, HYPOTHESES, K) logits of how much each counts in that average.
        given: (B, K) 1 where the pose claims a joint, 0 where it is missing.
        trust: (B,) in [0, 1].

    Returns:
        (B, K, 2) crop pixels.
    """
    far = 1 - near(oks_distance(places, places[:, :1]))
    needed = margin(trust)[:, None, None] * given[:, None]
    judged = quality - needed.clamp(min=0) * far
    # what counts against the claim itself must not favour the farthest of the others
    best = torch.cat([judged[:, :1] + needed.clamp(max=0), judged[:, 1:]], 1).argmax(1, keepdim=True)
    counted = (trust / TRUST).clamp(UNCOUNTED, 1).log()[:, None] * given
    weight = torch.cat([weight[:, :1] + counted[:, None], weight[:, 1:]], 1)
    best = best[..., None].expand(-1, -1, -1, 2)
    apart = oks_distance(places, places.gather(1, best))
    share = (weight - apart.square() / 2).softmax(1)  # by `near`, as a logarithm
    return (places * share[..., None]).sum(1)
