"""The examples for other libraries run, against fakes that give what these give; and refine what was found."""

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from fakes import kinds, mmpose
from fakes.supervision import KeyPoints
from fakes.ultralytics import Results

from pose_refine import Refiner
from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig

EXAMPLES = Path(__file__).parents[1] / "examples"
SIZE = kinds.SHAPE
JOINTS = kinds.joints_of(np.random.default_rng(0), 2, 17)


@pytest.fixture
def photo_path(tmp_path, monkeypatch):
    """A picture in the folder that the example runs in, and weights that are quickly made."""
    torch.manual_seed(0)
    weights.save(Model(NetworkConfig(width=8, coarse=8, size=(64, 32))), "base", tmp_path / "base")
    tiny = Refiner.from_pretrained(tmp_path / "base", device="cpu")
    monkeypatch.setattr(weights, "EMBEDDED", tmp_path)
    monkeypatch.setattr("pose_refine.api._cached", lambda *_: tiny)
    monkeypatch.setattr(Refiner, "from_pretrained", lambda *_, **__: tiny)
    monkeypatch.chdir(tmp_path)
    picture = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    cv2.imwrite("photo.png", picture)
    return "photo.png"


@pytest.fixture
def library(monkeypatch):
    """Puts a module of that name, and those that it lies in, where imports find it."""

    def put(name, **content):
        parts = name.split(".")
        for n in range(1, len(parts) + 1):
            module = sys.modules.get(".".join(parts[:n])) if n < len(parts) else None
            monkeypatch.setitem(sys.modules, ".".join(parts[:n]), module or ModuleType(".".join(parts[:n])))
        for key, value in content.items():
            setattr(sys.modules[name], key, value)

    return put


def run(name, *arguments):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*arguments)


def moved(joints, before=JOINTS):
    """Whether these are as many people and joints, finite, and not where they were."""
    joints = np.asarray(joints)
    assert joints.shape[:2] == before.shape[:2]
    assert np.isfinite(joints).all()
    return bool(np.abs(joints[..., :2] - before[..., :2]).max() > 0.1)


def test_rtmlib(photo_path, library):
    class Body:
        def __init__(self, mode, backend, device):
            pass

        def __call__(self, image):
            assert image.shape == (*SIZE, 3)
            return JOINTS[..., :2].copy(), JOINTS[..., 2].copy()

    drawn = []

    def draw_skeleton(image, keypoints, scores, kpt_thr):
        drawn.append((keypoints, scores))
        return image

    library("rtmlib", Body=Body, draw_skeleton=draw_skeleton)
    run("refine_rtmlib", photo_path)
    ((keypoints, scores),) = drawn
    assert moved(keypoints)
    assert scores.shape == (2, 17)
    assert Path("refined.jpg").is_file()


class Found(Results):
    """With what the examples take of it."""

    def __init__(self):
        super().__init__(torch.from_numpy(JOINTS.copy()))
        self.orig_img = cv2.imread("photo.png")
        self.saved = []

    def save(self, path):
        self.saved.append((path, self.keypoints.xy))


def test_ultralytics(photo_path, library):
    found = Found()
    library("ultralytics", YOLO=lambda model: lambda path: [found])
    run("refine_ultralytics", photo_path)
    ((path, xy),) = found.saved
    assert path == "refined.jpg"
    assert moved(xy)


def test_supervision(photo_path, library):
    drawn = []

    class EdgeAnnotator:
        def __init__(self, thickness):
            pass

        def annotate(self, image, key_points):
            drawn.append(key_points)
            return image

    class FromUltralytics(KeyPoints):
        @classmethod
        def from_ultralytics(cls, result):
            return cls(result.keypoints.xy.numpy(), keypoint_confidence=result.keypoints.conf.numpy())

    library("ultralytics", YOLO=lambda model: lambda image: [Found()])
    library("supervision", KeyPoints=FromUltralytics, EdgeAnnotator=EdgeAnnotator)
    run("refine_supervision", photo_path)
    assert moved(drawn[0].xy)


def test_mmpose(photo_path, library):
    sample = mmpose.merge_data_samples(
        [mmpose.topdown(JOINTS[i : i + 1, :, :2].copy(), JOINTS[i : i + 1, :, 2].copy()) for i in (0, 1)]
    )
    library("mmpose.apis", MMPoseInferencer=lambda alias: lambda path: iter([mmpose.inferencer(sample)]))
    run("refine_mmpose", photo_path)
    people = json.loads(Path("refined.json").read_text())
    assert moved([person["keypoints"] for person in people])


def test_mediapipe(photo_path, library, capsys):
    joints = kinds.joints_of(np.random.default_rng(0), 1, 33)

    class Landmarker:
        @classmethod
        def create_from_model_path(cls, path):
            return cls()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def detect(self, image):
            return kinds.mediapipe(joints)

    read = SimpleNamespace(create_from_file=lambda path: SimpleNamespace(numpy_view=lambda: cv2.imread(path)))
    library("mediapipe", Image=read, tasks=SimpleNamespace(vision=SimpleNamespace(PoseLandmarker=Landmarker)))
    run("refine_mediapipe", photo_path, "pose_landmarker_full.task")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 33
    assert lines[0].startswith("nose ")


def test_vitpose(photo_path, library, capsys):
    class Processor:
        @classmethod
        def from_pretrained(cls, name):
            return cls()

        def __call__(self, image, boxes, return_tensors):
            assert boxes[0].tolist() == [[0, 0, SIZE[1], SIZE[0]]]
            return {}

        def post_process_pose_estimation(self, outputs, boxes):
            return [kinds.vitpose(JOINTS[:1])]

    class Image:
        size = SIZE[::-1]

        def convert(self, mode):
            return self

        def __array__(self, dtype=None, copy=None):
            return cv2.imread("photo.png")

    model = SimpleNamespace(from_pretrained=lambda name: SimpleNamespace(requires_grad_=lambda on: lambda **_: None))
    library("transformers", AutoProcessor=Processor, VitPoseForPoseEstimation=model)
    library("PIL", Image=SimpleNamespace(open=lambda path: Image()))
    run("refine_vitpose", photo_path)
    assert "'labels'" in capsys.readouterr().out


def test_torchvision(photo_path, library, capsys):
    class Network:
        def eval(self):
            return self

        def __call__(self, images):
            (image,) = images
            assert image.shape == (3, *SIZE)
            assert image.max() <= 1
            return [{**kinds.torchvision(JOINTS), "scores": torch.tensor([0.9, 0.4])}]

    library("torchvision.io", decode_image=lambda path, mode: torch.from_numpy(cv2.imread(path)).permute(2, 0, 1))
    library("torchvision.models.detection", keypointrcnn_resnet50_fpn=lambda weights: Network())
    run("refine_torchvision", photo_path)
    assert capsys.readouterr().out.count("[") == 1 + 1 + 17  # one person: the other one's score is low


def test_pose2sim(photo_path):
    video, poses = Path("trial/videos"), Path("trial/pose/cam01_json")
    video.mkdir(parents=True)
    poses.mkdir(parents=True)
    writer = cv2.VideoWriter(str(video / "cam01.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, SIZE[::-1])
    body = kinds.joints_of(np.random.default_rng(0), 1, 25)
    for i in range(3):
        writer.write(cv2.imread(photo_path))
        (poses / f"cam01_{i:06}.json").write_text(json.dumps(kinds.openpose(body, "pose_keypoints_2d")))
    writer.release()
    assert run("refine_pose2sim", "trial") == 0
    out = sorted(Path("trial/pose_refined/cam01_json").iterdir())
    assert [path.name for path in out if path.suffix == ".json"] == [f"cam01_{i:06}.json" for i in range(3)]
    (person,) = json.loads(out[-1].read_text())["people"]
    assert moved(np.reshape(person["pose_keypoints_2d"], (1, 25, 3)), body)


def test_evaluating(photo_path, capsys):
    run("evaluate_arrays")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["before", "after"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_for_a_library_are_short(path):
    long = {"app.py", "refine_array.py", "refine_detectron2.py", "refine_on_ray.py", "refine_openpose.py"}
    assert path.name in long or len(path.read_text().splitlines()) < 25
