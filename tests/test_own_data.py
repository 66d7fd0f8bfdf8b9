"""The commands and scripts of docs/own_data.md run, in the page's order, on drawn people; what is long is cut."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.people import drawn, labels_of, name_of, results_of

from pose_refine.cli import main
from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.training import __main__ as training
from pose_refine.training import decision, export, fitting

PAGE = Path(__file__).parents[1] / "docs" / "own_data.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
SMALL = 32  # pixels, at which crops are looked at here
SHORT = {  # by program: what the page says, and what is run in its place
    "python": {"--steps 2000": f"--steps 1 --height {SMALL} --across {SMALL}"},
    "torchrun": {
        "--nproc-per-node 8": "--nproc-per-node 2",
        "--batch 256": "--batch 2",
        "--steps 2000": f"--steps 2 --height {SMALL} --across {SMALL}",
    },
}
QUICK = (  # module, name, value: what else is long, and no option
    (fitting, "STEPS", 4),
    (fitting, "EVERY", 2),
    (decision, "DRAWS", 1),
    (decision, "EXACT", 1),
    (export, "fit", partial(decision.fit, steps=3)),
)
IMAGES, MIDDLES, WIDTH = 17, (30, 90, 150), 180  # as few as hold somebody out; 50 people are needed to fit


def lines():
    return [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


def pose_refine(words, monkeypatch):
    assert main(words) == 0


def python(words, monkeypatch):
    assert words[:2] == ["-m", "pose_refine.training"]
    monkeypatch.setattr(sys, "argv", words[1:])
    training.main()


def torchrun(words, monkeypatch):
    """In processes of its own, on the CPU, on a port that is free."""
    settings = {"PET_STANDALONE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "torch.distributed.run", *words]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


PROGRAMS = {"pose-refine": pose_refine, "python": python, "torchrun": torchrun}


def run(line, monkeypatch):
    program = line.split()[0]
    for long, short in SHORT.get(program, {}).items():
        line = line.replace(long, short)
    PROGRAMS[program](shlex.split(line, comments=True)[1:], monkeypatch)


def write_json(path, content):
    path.write_text(json.dumps(content))


def read_json(path):
    return json.loads(Path(path).read_text())


def write_base(folder):
    """The weights that come along, made to look at small crops, once."""
    base, config = weights.load(weights.find("base"))
    model = Model(NetworkConfig(size=(SMALL, SMALL)), views=1, trust=config.trust)
    model.load_state_dict(base.state_dict())
    weights.save(model, "base", folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the page takes for granted, in the folder that it runs in; nothing is sent."""
    rng = np.random.default_rng(0)
    poses = drawn(tmp_path / "images", IMAGES, MIDDLES, rng, width=WIDTH)
    labels, results = labels_of(poses), results_of(poses, rng)
    write_json(tmp_path / "labels.json", labels)
    write_json(tmp_path / "results.json", results)
    assert cv2.imwrite(str(tmp_path / "photo.jpg"), cv2.imread(str(tmp_path / "images" / name_of(1))))
    write_json(tmp_path / "poses.json", [result for result in results if result["image_id"] == 1])
    shutil.copytree(tmp_path / "images", tmp_path / "DATA" / "coco" / "train")
    write_json(tmp_path / "DATA" / "coco" / "person_keypoints_train.json", labels)
    tests = drawn(tmp_path / "test_images", 1, MIDDLES, rng, width=WIDTH)
    write_json(tmp_path / "test.json", labels_of(tests))
    write_json(tmp_path / "test_results.json", results_of(tests, rng))
    write_base(tmp_path / "weights" / "base")
    monkeypatch.setattr(weights, "EMBEDDED", tmp_path / "weights")
    for module, name, value in QUICK:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("pose_refine.commands.publish.send", lambda *_, **__: pytest.fail("sent"))
    monkeypatch.chdir(tmp_path)


def keypoints_of(path):
    return np.array([person["keypoints"] for person in read_json(path)]).reshape(-1, 17, 3)


def test_all_blocks_are_looked_at():
    fences = PAGE.read_text(encoding="utf-8").count("```")
    assert (2 * len(BLOCKS), {kind for kind, _ in BLOCKS}) == (fences, {"sh", "python", "text"})


@pytest.mark.parametrize(("program", "long"), [(p, long) for p, cut in SHORT.items() for long in cut])
def test_what_is_cut_is_on_the_page(program, long):
    assert any(long in line for line in lines() if line.split()[0] == program)


@pytest.mark.usefixtures("folder")
def test_the_page_leads_from_photographs_to_weights(monkeypatch):
    pytest.importorskip("pycocotools")
    pytest.importorskip("onnx")
    given = keypoints_of("poses.json")
    image, scripts = cv2.imread("photo.jpg")[:, :, ::-1].copy(), []
    for kind, text in BLOCKS:
        if kind == "python":
            scripts.append({"image": image, "poses": given.copy()})
            exec(text, scripts[-1])
        elif kind == "sh":
            for line in text.splitlines():
                run(line, monkeypatch)

    assert Path("errors.html").is_file()
    assert weights.load(Path("my_weights"))[1].name == "my_weights"
    assert not np.allclose(keypoints_of("refined.json"), given)
    with np.load("DATA/predictions/coco_train/my_estimator.npz") as predictions:
        check_predictions(dict(predictions))
    check_run(Path("runs/mine"))
    check_weights(Path("weights/mine"))
    assert Path("mine.onnx").stat().st_size > 1e6
    assert scripts[-1]["poses"].shape == given.shape
    assert not np.allclose(scripts[-1]["poses"], given)


def check_predictions(predictions):
    """Every label has its own pose (both files have people in one order); joints of score 0 are missing."""
    labels = read_json("labels.json")["annotations"]
    assert sorted(predictions["ann_id"]) == [person["id"] for person in labels]
    given = keypoints_of("results.json")[predictions["ann_id"] - 1]
    given[given[..., 2] == 0] = np.nan
    assert np.array_equal(predictions["keypoints"][:, :17], given, equal_nan=True)
    assert np.isnan(predictions["keypoints"][:, 17:]).all()


def check_run(run):
    """Two processes went on where one had stopped, and learnt from what the estimator said."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["first"] for entry in log if "first" in entry] == [0, 1]
    assert [entry["step"] for entry in log if "step" in entry] == [1, 2]
    assert [list(entry["held_out"]) for entry in log if "step" in entry] == [["my_estimator"]] * 2


def check_weights(folder):
    (mine, config), (base, _) = (weights.load(place) for place in (folder, folder.with_name("base")))
    assert config.name == "mine"
    for part in ("network", "decision"):
        before, after = (getattr(model, part).state_dict() for model in (base, mine))
        assert any(not before[name].equal(after[name]) for name in before)
