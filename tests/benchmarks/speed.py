"""What refining costs, as ratios of things timed in turns in one run; writes speed.json and docs/speed.md's table.

    python tests/benchmarks/speed.py --readme
    python tests/benchmarks/speed.py --only overhead rivals crowds --device cuda --dtype bfloat16 -o speed_cuda.json

Needs transformers for ViTPose and the extra [onnx]; nothing of it depends on images or weights, so random ones do.
That everybody is looked at once is seen to: how many people are worth a second look is quality.py's to tell.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import rivals
import torch
import writing
from quality import machine
from torch import Tensor, nn

from pose_refine import Refiner
from pose_refine.crops import geometry as crops
from pose_refine.nn.backends import keep_memory
from pose_refine.nn.encoding import DOUBT
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig

OUT, PAGE = Path(__file__).with_name("speed.json"), Path(__file__).resolve().parents[2] / "docs/speed.md"
BEGIN, END = "<!-- speed: written by tests/benchmarks/speed.py -->", "<!-- /speed -->"
MODELS = {"base": 2, "small": 1}  # and how many views of a crop the network sees
CROWDS = (1, 8, 64, 1000)
IMAGES = 128  # of one person each, for `refine_many`
ROUNDS, LEAST = 4, 0.5  # each thing is timed so often, for at least so many seconds; the best counts
BATCHES = {"cpu": (1, 4, 8, 16), "cuda": (8, 64, 256)}  # a rival is taken at its best


@dataclass(frozen=True)
class Where:
    """What runs the networks."""

    device: str = "cpu"
    dtype: str = "float32"

    def put(self, network: nn.Module) -> nn.Module:
        return network.eval().to(self.device).to(memory_format=torch.channels_last)

    def run(self, call: Callable[[], object]) -> Callable[[], object]:
        """`call` as the refiner calls its network."""
        if self.dtype != "float32":
            call = torch.autocast(self.device, getattr(torch, self.dtype))(call)
        return torch.inference_mode()(call)


def in_turns(things: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds a call of each: the best of several rounds, so that a busy moment does not meet one of them only."""
    best = dict.fromkeys(things, np.inf)
    for _ in range(rounds):
        for name, call in things.items():
            calls, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < LEAST or not calls:
                call()
                if torch.cuda.is_initialized():
                    torch.cuda.synchronize()
                calls += 1
            best[name] = min(best[name], 1e3 * spent / calls)
    return best


def crowd(people: int, shape: tuple[int, int] = (1080, 1920)) -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise, and people 150 to 400 pixels tall anywhere in it."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    height = rng.uniform(150, 400, (people, 1, 1))
    corner = rng.random((people, 1, 2)) * (np.array(shape[::-1]) - 0.6 * height[..., 0])[:, None]
    poses = corner + rng.random((people, 17, 2)) * height * (0.4, 1)
    return image, poses.astype(np.float32)


def refiner_of(views: int, folder: Path, backend: str, where: Where) -> Refiner:
    """With random weights."""
    from pose_refine.nn import weights

    torch.manual_seed(0)
    weights.save(Model(NetworkConfig(), views=views), "random", folder)
    return Refiner.from_pretrained(folder, backend=backend, device=where.device, dtype=getattr(torch, where.dtype))


@torch.inference_mode()
def bare(network: nn.Module, people: int, views: int, batch: int) -> Callable[[], None]:
    """The layers alone on so many people, `batch` at once: with one view they answer twice, see `model.look`."""
    height, width = network.config.size
    device = next(network.parameters()).device
    random = partial(torch.rand, device=device)

    def inputs(count: int) -> tuple[Tensor, Tensor, Tensor]:
        image = random(count, 3, height, width).contiguous(memory_format=torch.channels_last)
        return image, random(count, 38, height // 8, width // 8), random(count, 38, height // 4, width // 4)

    sizes = [min(batch, people - start) for start in range(0, people, batch)]
    made = {size: inputs(size) for size in set(sizes)}
    beliefs = torch.tensor([[1], [DOUBT]], device=device)[: 1 + (views == 1)]

    @torch.inference_mode()
    def run() -> None:
        for size in sizes:
            image, pose8, pose4 = made[size]
            network.answers(network.context(image, pose8, pose4), pose4, beliefs)
            if views > 1:
                network.alone(image, pose8, pose4)

    return run


def overhead(refiner: Refiner, where: Where) -> dict[str, dict[str, float]]:
    """Whole calls of refine() beside the bare network, in whichever batches suit that best, people in one image."""
    out = {}
    for people in CROWDS:
        image, poses = crowd(people)
        things = {"refine": lambda i=image, p=poses: refiner.refine(i, p)}
        model = refiner.predictor.model
        alone = partial(bare, model.network, people, model.views)
        things |= {str(batch): where.run(alone(batch)) for batch in BATCHES[where.device][1:]}
        refine, *network = in_turns(things, 1 if people > 100 else ROUNDS).values()
        out[str(people)] = {"refine": refine / people, "network": min(network) / people}
    return out


def many(where: Where) -> dict[str, dict[str, float]]:
    """`refine_many` beside one call an image, IMAGES of one person each: milliseconds an image, `small`, by what runs
    it."""
    images, poses = zip(*[crowd(1, (480, 640))] * IMAGES, strict=True)
    out = {}
    for runtime in runtimes(where):
        refiner = random_refiners(where, runtime)["small"]
        spent = in_turns({
            "one call": lambda r=refiner: list(r.refine_many(images, poses)),
            "a call each": lambda r=refiner: [r.refine(*pair) for pair in zip(images, poses, strict=True)],
        })  # fmt: skip
        out[runtime] = {name: ms / IMAGES for name, ms in spent.items()}
    return out


def as_onnx(network: nn.Module) -> Callable[[Tensor], object]:
    import onnxruntime

    file = io.BytesIO()
    example = torch.zeros(1, 3, *network.size)
    torch.onnx.export(
        network, (example,), file, input_names=["image"], dynamic_axes={"image": {0: "batch"}}, dynamo=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images.numpy()})


def best_of_batches(
    call: Callable[[Tensor], object], size: tuple[int, int], name: str, where: Where
) -> dict[str, Callable[[], object]]:
    """The rival at each of BATCHES, named "name/batch"."""
    out = {}
    for batch in BATCHES[where.device]:
        images = torch.rand(batch, 3, *size, device=where.device).contiguous(memory_format=torch.channels_last)
        out[f"{name}/{batch}"] = where.run(lambda images=images: call(images))
    return out


def each(spent: dict[str, float]) -> dict[str, float]:
    """Of times a call, keyed by name and people, milliseconds a person: of each name the best."""
    best: dict[str, float] = {}
    for key, ms in spent.items():
        name, people = key.split("/")
        best[name] = min(best.get(name, np.inf), ms / int(people))
    return best


def beside_rivals(ours: dict[str, Refiner], runtime: str, where: Where) -> dict[str, float]:
    """refine() of eight people (64 on a GPU) beside other networks; milliseconds a person, all in one run."""
    people = 8 if where.device == "cpu" else 64
    image, poses = crowd(people)
    lightning = rivals.MoveNetLightning().eval()
    things = {f"{n}/{people}": lambda r=r: r.refine(image, poses) for n, r in ours.items()}
    call = where.put(lightning) if runtime == "torch" else as_onnx(lightning)
    things |= best_of_batches(call, lightning.size, "lightning", where)
    if runtime == "torch":
        for name, rival in (("posefix", rivals.PoseFix()), ("vitpose", rivals.vitpose())):
            things |= best_of_batches(where.put(rival), rival.size, name, where)
    return each(in_turns(things))


def crowds(where: Where) -> dict[str, float]:
    """Milliseconds a person in ever larger crowds, `small`, and the memory that 10,000 take beyond 1,000."""
    refiner, peaks = random_refiners(where)["small"], []

    def refined(people: int) -> Callable[[], None]:
        image, poses = crowd(people)

        def call() -> None:
            refiner.refine(image, poses)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

        return call

    for people in (1000, 10_000):
        refined(people)()
    spent = in_turns({str(people): refined(people) for people in (8, 100, 1000, 10_000)}, 2)
    return {people: ms / int(people) for people, ms in spent.items()} | {"more_memory_mb": peaks[1] - peaks[0]}


def eight(where: Where) -> dict[str, float]:
    """Milliseconds a person of eight in an image, by weights."""
    image, poses = crowd(8)
    spent = in_turns({n: lambda r=r: r.refine(image, poses) for n, r in random_refiners(where).items()})
    return {name: ms / 8 for name, ms in spent.items()}


def eight_kept(where: Where) -> dict[str, float]:
    """The same with freed memory kept."""
    keep_memory()
    return eight(where)


def random_refiners(where: Where = Where(), backend: str = "torch") -> dict[str, Refiner]:
    """By name; from here on nobody in this process is looked at twice: what is found is random, too."""
    crops.KEPT = 0.0
    with tempfile.TemporaryDirectory() as work:
        return {name: refiner_of(how, Path(work) / name, backend, where) for name, how in MODELS.items()}


def alone(function: str, where: Where) -> dict[str, float]:
    """What a function of this module returns in a process of its own, whose environment tells glibc nothing."""
    command = [sys.executable, "-c", f"import json, speed; print(json.dumps(speed.{function}(speed.{where!r})))"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    found: dict[str, float] = json.loads(subprocess.check_output(command, text=True, env=environment))
    return found


def huge(refiner: Refiner) -> dict[str, float]:
    """Eight people in 12,000 x 8,000 pixels beside eight in 1,920 x 1,080: milliseconds a person."""
    large, poses = crowd(8, (8000, 12_000))
    image, others = crowd(8)
    spent = in_turns({"huge": lambda: refiner.refine(large, poses), "usual": lambda: refiner.refine(image, others)})
    return {name: ms / 8 for name, ms in spent.items()}


START = """
import time
start = time.perf_counter()
import torch
middle = time.perf_counter()
import pose_refine
imported = time.perf_counter()
import numpy as np
pose_refine.refine(np.zeros((480, 640, 3), np.uint8), np.random.default_rng(0).random((1, 17, 2)) * 400)
print(middle - start, imported - middle, time.perf_counter() - imported)
"""


def start() -> dict[str, float]:
    """Seconds in fresh interpreters: import torch, import pose_refine after it, first result after that; the best."""
    command = [sys.executable, "-c", START]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(ROUNDS)]
    return dict(zip(("torch", "pose_refine", "first_result"), np.array(runs, float).min(0).tolist(), strict=True))


PARTS: dict[str, Callable[[Where], object]] = {
    "start": lambda _: start(),
    "memory": lambda where: {"plain": alone("eight", where), "kept": alone("eight_kept", where)},
    "overhead": lambda where: {name: overhead(refiner, where) for name, refiner in random_refiners(where).items()},
    "rivals": lambda where: {r: beside_rivals(random_refiners(where, r), r, where) for r in runtimes(where)},
    "many": many,
    "crowds": lambda where: alone("crowds", where),  # of small, beside which all that is not the network weighs most
    "huge": lambda where: huge(random_refiners(where)["small"]),
}


def runtimes(where: Where) -> tuple[str, ...]:
    return ("torch", "onnx") if where == Where() else ("torch",)


def table(result: dict) -> str:
    """docs/speed.md's table: what was measured, and what was aimed at."""
    r, c, h, s, k, m = (result[name] for name in ("rivals", "crowds", "huge", "start", "memory", "many"))
    rows = []
    for name, o in result["overhead"].items():
        shares = ", ".join(f"{100 * o[str(n)]['network'] / o[str(n)]['refine']:.0f}" for n in CROWDS)
        rows.append([f"speed of `refine()`, share of the bare network's, `{name}`; 1, 8, 64, 1,000 people an image",
                     f"{shares} %", ">= 80 %"])  # fmt: skip
    for runtime, spent in r.items():
        for name in MODELS:
            ratio = f"{spent[name] / spent['lightning']:.2f} x"
            rows.append([f"a person, `{name}` in {runtime}, against MoveNet Lightning there", ratio, "<= 1.5 x"])
    for rival, title, aim in (("posefix", "PoseFix's network", ">= 20 x"), ("vitpose", "ViTPose-B", ">= 3 x")):
        ratios = ", ".join(f"{r['torch'][rival] / r['torch'][name]:.1f}" for name in MODELS)
        rows.append([f"people a second against {title}, all in torch: {', '.join(MODELS)}", f"{ratios} x", aim])
    flat = ", ".join(f"{c[n] / c['8']:.2f}" for n in ("100", "1000", "10000"))
    faster = ", ".join(f"{m[n]['a call each'] / m[n]['one call']:.2f}" for n in m)
    kept = ", ".join(f"{k['kept'][name] / k['plain'][name]:.2f}" for name in MODELS)
    rows += [
        [f"a person with freed memory kept (see below) against without: {', '.join(MODELS)}", f"{kept} x", "-"],
        [
            "a person among 100, 1,000, 10,000 in an image against one of 8, `small`",
            f"{flat} x",
            "0.9 to 1.1",
        ],
        [
            f"images of one person a second, `refine_many` against a call each, `small`: {', '.join(m)}",
            f"{faster} x",
            ">= 1.5 x",
        ],
        ["memory that 10,000 people take beyond 1,000", f"{c['more_memory_mb']:.0f} MB", "none but theirs"],
        ["a person in 12,000 x 8,000 pixels against 1,920 x 1,080", f"{h['huge'] / h['usual']:.2f} x", "works"],
        ["`import pose_refine` beyond `import torch`", f"{s['pose_refine']:.2f} s", "< 0.5 s"],
        ["first result after that", f"{s['first_result']:.2f} s", "< 1 s"],
    ]
    own = ", ".join(f"`{n}` {r['torch'][n]:.1f} in torch, {r['onnx'][n]:.1f} in ONNX Runtime" for n in MODELS)
    own = f"On {result['machine']}. Milliseconds a person there, of eight in an image: {own}."
    return f"{writing.table(['what', 'measured', 'aim'], rows)}\n\n{own}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true", help="also write docs/speed.md's table")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these anew, the others are as OUT has them")
    parser.add_argument("-o", "--out", type=Path, default=OUT, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", choices=BATCHES, help="default: %(default)s")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16; default: %(default)s")
    arguments = parser.parse_args()
    where = Where(arguments.device, arguments.dtype)
    if where != Where() and (arguments.readme or arguments.out == OUT):
        parser.error(f"{OUT.name} and docs/speed.md are of CPUs in float32: another -o, and no --readme")
    result = json.loads(arguments.out.read_text()) if arguments.only and arguments.out.exists() else {}
    result |= {"machine": machine(where.device, where.dtype)}
    result |= {name: PARTS[name](where) for name in arguments.only or PARTS}
    result = writing.rounded(result)  # the table is of what the file says
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result) if where == Where() else json.dumps(result, indent=1))
    if arguments.readme:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(writing.between_markers(page, table(result), BEGIN, END), encoding="utf-8")


if __name__ == "__main__":
    main()
