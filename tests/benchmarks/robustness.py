"""What refining does where something is badly wrong: joints flung away, people turned, too small, or half hidden.

    python tests/benchmarks/robustness.py --data ../shared/data

COCO dev, every estimator; figures.py says what the figures are. Checks (--checks takes some of them):
  wrong    1, 2 and 3 of each person's joints, drawn, at (1, 1); at a uniformly drawn place of the image; on the same
           joint of another person; and half the joints (the same ones in all of an image) on the nearest person's:
           recall and harm of the OTHER joints, beside what they are with those joints missing
  turned   images and poses turned by 90, 180 and 270 degrees
  shrunk   the image resized so that the person (the longer side of the labelled joints' box) is 40, 20 and 10 pixels
           tall; one person at a time; the pose is shrunk with it. Mean OKS
  limbs    share of the left/right pairs of elbows, wrists, knees and ankles that come out in one place (nearer than
           their OKS-.85 radius) though the truth has them apart, or labels only one of them (then they may truly hide
           each other); and where that other joint was missing from the pose, how often it is found so, and how sure

Writes tests/benchmarks/robustness.json, and with --readme the table of docs/robustness.md. An interrupted run goes on
where it was (remove the output's .partial.json to start over). All of it is some twenty looks a person and estimator:
--limit looks at fewer images.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import damage
import figures
import numpy as np
import tables
import tables_robustness
from figures import Compared
from quality import machine
from runs import DevSet, Step, read_coco_dev, read_rgb, refined, run_all
from tqdm import tqdm
from writing import PARTIAL, Progress, chosen, rounded

from pose_refine import Refiner
from pose_refine.nn import weights

COUNTS = (1, 2, 3)  # joints of a person that are wrong
QUARTERS = {90: 1, 180: 2, 270: 3}
TALL = (40, 20, 10)  # pixels
SEED = 0


def as_they_came(dev: DevSet, poses: np.ndarray, step: Step) -> dict:
    return Compared(dev, poses, run_all(dev.people, poses, step), known(poses)).only()


def known(poses: np.ndarray) -> np.ndarray:
    """(K,) which joints the estimator gives."""
    return np.isfinite(poses[..., 0]).any(0)


def wrong(dev: DevSet, poses: np.ndarray, step: Step) -> dict:
    """The figures of the other joints, for each kind of damage: of them missing, and wrong."""
    image, present = dev.people.image, ~np.isnan(poses[..., 0])
    rng = np.random.default_rng(SEED)
    places = {
        "corner": damage.at_corner(poses),
        "anywhere": damage.anywhere(shapes(dev), poses.shape[1], rng),
        "another": damage.on_another(poses, image, rng),
    }
    out = {}
    for count in COUNTS:
        which = damage.drawn_joints(present, count, np.random.default_rng(SEED + 1))
        found = of_the_others(dev, poses, step, places, which)
        out |= {f"{kind} {count}": row for kind, row in found.items()}
    half = damage.half_of_each_image(known(poses), image, rng)
    return out | of_the_others(dev, poses, step, {"exchanged": damage.on_nearest(poses, image)}, half)


def of_the_others(
    dev: DevSet, poses: np.ndarray, step: Step, places: dict[str, np.ndarray], which: np.ndarray
) -> dict[str, dict]:
    """Joints `which` (P, K) put at each of `places`: figures of the rest, of people of whom any was."""
    missing, out = run_all(dev.people, damage.without(poses, which), step), {}
    for kind, place in places.items():
        given, moved = damage.replaced(poses, place, which)
        others = known(poses) & ~which & moved.any(1, keepdims=True)
        answers = {"missing": missing, "wrong": run_all(dev.people, given, step)}
        out[kind] = {name: Compared(dev, poses, found, others).only() for name, found in answers.items()}
    return out


def shapes(dev: DevSet) -> np.ndarray:
    """(P, 2) height and width of each person's image."""
    first = {int(i): row for row, i in enumerate(dev.people.image)}
    sizes = {i: read_rgb(dev.people, row).shape[:2] for i, row in first.items()}
    return np.array([sizes[int(i)] for i in dev.people.image])


def turned(dev: DevSet, poses: np.ndarray, step: Step) -> dict:
    out = {}
    for degrees, quarters in QUARTERS.items():
        after = run_all(dev.people, poses, partial(step_turned, step, quarters))
        out[str(degrees)] = Compared(dev, poses, after, known(poses)).only()
    return out


def step_turned(step: Step, quarters: int, image: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """`step` on an image and poses turned by so many quarters; the answer turned back."""
    other = np.ascontiguousarray(np.rot90(image, quarters))
    found = step(other, damage.turned(poses, image.shape[:2], quarters))
    return damage.turned(found, other.shape[:2], -quarters)


def small(dev: DevSet, poses: np.ndarray, step: Step) -> dict:
    boxes = figures.boxes_of(dev.people.keypoints)
    height = (boxes[:, 2:] - boxes[:, :2]).max(1)
    out = {}
    for tall in TALL:
        after = np.full_like(poses, np.nan)
        for row in tqdm(dev.rows[~np.isnan(poses[dev.rows, :, 0]).all(1)], desc="people", leave=False, mininterval=2):
            scale = min(1.0, tall / height[row])
            after[row] = step_shrunk(step, scale, read_rgb(dev.people, row), poses[row, None])[0]
        compared = Compared(dev, poses, after, known(poses))
        means = [mean_oks(similar, compared.labelled) for similar in (compared.old, compared.new)]
        out[str(tall)] = {**compared.only(), "oks_before": means[0], "oks_after": means[1]}
    return out


def step_shrunk(step: Step, scale: float, image: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """`step` on an image and poses at `scale` of their size; the answer as large as before."""
    little, by = damage.shrunk(image, scale)
    return damage.resized(step(little, damage.resized(poses, by)), 1 / by)


def mean_oks(similar: np.ndarray, labelled: np.ndarray) -> float:
    """Mean over people of the mean similarity (N, K) of their labelled joints (N, K)."""
    some = labelled.any(1)
    return float(((similar * labelled).sum(1)[some] / labelled.sum(1)[some]).mean())


def limbs(dev: DevSet, poses: np.ndarray, step: Step) -> dict:
    truth, area = dev.truth, dev.people.area
    labelled = ~np.isnan(truth[:, damage.PAIRS, 0])  # (P, 4, 2)
    there = ~np.isnan(poses[:, damage.PAIRS, 0]).any(-1) & np.isin(np.arange(len(poses)), dev.rows)[:, None]
    apart = labelled.all(-1) & ~damage.in_one_place(truth, area, figures.RIGHT) & there
    one = (labelled.sum(-1) == 1) & there
    hidden = np.zeros(poses.shape[:2], bool)
    hidden[:, damage.PAIRS] = one[..., None] & ~labelled
    after = run_all(dev.people, poses, step)
    recovered = run_all(dev.people, damage.without(poses, hidden), step)
    before, after, again = (damage.in_one_place(p, area, figures.RIGHT) for p in (poses, after, recovered))
    sure = np.where(labelled, np.nan, recovered[:, damage.PAIRS, 2])[again & one]
    return {
        "apart": {
            "pairs": int(apart.sum()),
            "before": figures.share(before[apart]),
            "after": figures.share(after[apart]),
        },
        "one": {"pairs": int(one.sum()), "before": figures.share(before[one]), "after": figures.share(after[one])},
        "missing": {"after": figures.share(again[one]), "score": float(np.nanmean(sure)) if len(sure) else None},
    }


CHECKS: dict[str, Callable[[DevSet, np.ndarray, Step], dict]] = {
    "came": as_they_came, "wrong": wrong, "turned": turned, "shrunk": small, "limbs": limbs,
}  # fmt: skip


def measure_all(arguments: argparse.Namespace) -> dict:
    source = weights.find(arguments.weights)
    flip = False if arguments.no_flip else None
    step = refined(Refiner.from_pretrained(arguments.weights, device="cpu", backend=arguments.backend, flip=flip))
    about = {"sha256": weights.read_config(source).sha256, "split": arguments.split, "limit": arguments.limit}
    about |= {"flip": "off" if arguments.no_flip else "as the weights say"}
    progress = Progress(arguments.out, about)
    dev = read_coco_dev(arguments.data, arguments.split, arguments.limit)
    out: dict = {**about, "machine": machine(backend=arguments.backend), "estimators": {}}
    for name in tqdm(chosen(dev.people.estimators, arguments.estimators), desc="estimators"):
        poses = dev.predicted(dev.people.estimators.index(name))
        out["estimators"][name] = {
            check: progress.measured(f"{name} {check}", partial(CHECKS[check], dev, poses, step))
            for check in tqdm(arguments.checks, desc=name, leave=False)
        }
    return rounded(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--checks", nargs="*", choices=CHECKS, default=list(CHECKS), help="default: all")
    parser.add_argument("--estimators", nargs="*", help="default: all there")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--backend", default="torch", help="torch or onnx: the same answers, faster on CPUs")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--no-flip", action="store_true", help="do not look at mirror images: half the time")
    parser.add_argument("--limit", type=int, help="look at so many images")
    parser.add_argument("-o", "--out", type=Path, default=tables.ROBUSTNESS, help="default: %(default)s")
    parser.add_argument("--readme", action="store_true", help="also write docs/robustness.md's table")
    arguments = parser.parse_args()
    result = measure_all(arguments)
    print(tables_robustness.page(result))
    if arguments.estimators is None and list(arguments.checks) == list(CHECKS):  # else the rest is left for later
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
        arguments.out.with_suffix(PARTIAL).unlink()
        if arguments.readme:
            tables.write()


if __name__ == "__main__":
    main()
