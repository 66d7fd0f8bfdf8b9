"""Weights fitted to an estimator, from files, as a user asks for them."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.people import drawn, labels_of, results_of
from fakes.weights import lively, tiny_model

from pose_refine.cli import main
from pose_refine.commands import fit as fit_module
from pose_refine.nn import weights
from pose_refine.nn.decision import Decision
from pose_refine.nn.evidence import EVIDENCE, HYPOTHESES
from pose_refine.training import fitting
from pose_refine.training.decision import Cases
from pose_refine.training.fitting import Figures, Fitted

IMAGES = 30  # of two people


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Drawn people: images/, gt.json, pr.json, and weights that were never trained; tests only read."""
    folder, rng = tmp_path_factory.mktemp("fit"), np.random.default_rng(0)
    poses = drawn(folder / "images", IMAGES, (30, 85), rng)
    (folder / "gt.json").write_text(json.dumps(labels_of(poses)))
    (folder / "pr.json").write_text(json.dumps(results_of(poses, rng)))
    model = tiny_model(width=4, size=(64, 64))
    lively(model.network)
    weights.save(model, "tiny", folder / "weights")
    return folder


@pytest.fixture
def given(data, tmp_path):
    """A copy of these files, but for the images, that may be changed."""
    for name in ("gt.json", "pr.json"):
        shutil.copy(data / name, tmp_path / name)
    return tmp_path


def fit(data, folder, *more, images=None, source=None):
    chosen = ["--weights", source or data / "weights", "--device", "cpu", "-o", folder / "mine", *more]
    files = ["--truth", folder / "gt.json", "--predictions", folder / "pr.json", images or data / "images"]
    return main(["fit", *map(str, files), *map(str, chosen)])


def figures_of(recall, harm):
    return Figures(60, recall, 50.0, harm, 1.0)


def fitted(recall, harm):
    """What fitting might give, where the general weights have recall 50 and harm 1."""
    return Fitted(
        Decision(19), 0.25, 75, figures_of(30.0, 0.0), figures_of(50.0, 1.0), figures_of(recall, harm)
    )  # fmt: skip


def nothing_seen(network, images, people, inputs, *, bar):
    count = len(inputs.rows)
    places, flags = torch.zeros(count, HYPOTHESES, 19, 2), torch.zeros(count, 19).bool()
    features = torch.zeros(count, 19, EVIDENCE)
    cases = Cases(features, places, places[:, 0], torch.ones(count, 19), flags, flags, torch.ones(count).bool())
    return [replace(cases, features=features + n) for n in range(3)]


@pytest.fixture
def stubbed(monkeypatch):
    """Neither looks nor fits: the result is what a test says; the parts that were looked at are counted."""
    looked = []

    def collect(*arguments, **options):
        looked.append(len(arguments[-1].rows))
        return nothing_seen(*arguments, **options)

    def ends(result):
        monkeypatch.setattr(fit_module, "fit_to", lambda *_: result)
        return looked

    monkeypatch.setattr(fit_module, "collect", collect)
    return ends


def test_fitted_weights_are_loaded_like_others(data, given, monkeypatch, capsys):
    monkeypatch.setattr(fitting, "STEPS", 4)
    monkeypatch.setattr(fitting, "EVERY", 2)
    before = hashlib.sha256((data / "weights" / weights.TENSORS).read_bytes()).hexdigest()
    assert fit(data, given, "--force") == 0
    out = capsys.readouterr().out
    assert out.startswith("60 people, each measured with what was fitted on other images\n")
    assert [line.split("|")[1].strip() for line in out.splitlines()[4:7]] == ["before", "general", "fitted"]
    model, config = weights.load(given / "mine")
    general, _ = weights.load(data / "weights")
    assert (config.name, config.views) == ("mine", general.views)
    assert f"trust {config.trust:.2f}" in out
    assert config.trust in fitting.TRUSTS
    for name, value in general.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])
    assert not torch.equal(general.decision.out.bias, model.decision.out.bias)
    assert hashlib.sha256((data / "weights" / weights.TENSORS).read_bytes()).hexdigest() == before
    assert sorted(path.name for path in given.iterdir()) == ["gt.json", "mine", "pr.json"]


WORTH = {
    "better": (50.1, 1.2, 0, None),
    "no better": (50.0, 0.5, 1, "recall is 50.0, and 50.0 with the general weights"),
    "harms": (60.0, 1.21, 1, "harm is 1.21, and 1.00 with the general weights; 0.2 more is allowed"),
}


@pytest.mark.parametrize("name", WORTH)
def test_weights_are_written_only_where_they_are_better(data, given, stubbed, caplog, name):
    recall, harm, code, words = WORTH[name]
    stubbed(fitted(recall, harm))
    assert fit(data, given) == code
    assert (given / "mine").exists() == (code == 0)
    assert (given / "mine.partial").exists() == (code == 1)
    if words:
        assert words in caplog.text
        assert "--force" in caplog.text
        assert fit(data, given, "--force") == 0
        assert not (given / "mine.partial").exists()
    assert weights.load(given / "mine")[1].trust == 0.25


def test_it_goes_on_where_it_was(data, given, stubbed, monkeypatch):
    looked = stubbed(fitted(60.0, 1.0))
    collect = fit_module.collect

    def interrupted(*arguments, **options):
        if len(looked) == 2:
            raise KeyboardInterrupt
        return collect(*arguments, **options)

    monkeypatch.setattr(fit_module, "collect", interrupted)
    assert fit(data, given) == 130
    done = sorted(path.name for path in (given / "mine.partial").iterdir())
    assert (len(done), looked) == (2, [24, 24])
    (given / "mine.partial" / done[0]).write_bytes(b"half")
    monkeypatch.setattr(fit_module, "collect", collect)
    assert fit(data, given) == 0
    assert looked[2:6] == [24, 12, 24, 24]  # the damaged one anew, and what was not there
    assert not (given / "mine.partial").exists()


CHANGED = {
    "weights": lambda data, folder: weights.save(tiny_model(1, width=4, size=(64, 64)), "tiny", folder / "weights"),
    "predictions": lambda data, folder: (folder / "pr.json").write_text(
        json.dumps(
            [{**p, "keypoints": [v + 1 for v in p["keypoints"]]} for p in json.loads((folder / "pr.json").read_text())]
        )
    ),
    "nothing": lambda data, folder: None,
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_collected_otherwise_is_not_taken(data, given, stubbed, name):
    looked = stubbed(fitted(50.0, 1.0))
    assert fit(data, given) == 1
    first = len(looked)
    assert first == 9 or first == 18  # three kinds of poses, 24 people a part; and perhaps a second look
    CHANGED[name](data, given)
    own = given / "weights"
    assert fit(data, given, source=own if own.exists() else None) == 1
    assert len(looked) == (first if name == "nothing" else 2 * first)


def few(document):
    """The labels of the first 24 images."""
    return {**document, "annotations": [a for a in document["annotations"] if a["image_id"] <= 24]}


def all_in_one_image(folder):
    changed(folder, "gt.json", lambda labels: {**labels, "annotations": in_first(labels["annotations"])})
    changed(folder, "pr.json", in_first)


def in_first(entries):
    return [{**entry, "image_id": 1} for entry in entries]


def elsewhere(results):
    return [{**r, "keypoints": [v + 5000 for v in r["keypoints"]]} for r in results]


def strange(results):
    return [{**r, "image_id": r["image_id"] + 500} for r in results]


def limbs(results):
    """Of COCO's seventeen joints seven: no face, and no legs but for the left hip."""
    return [{**r, "keypoints": [v * (15 <= i < 36) for i, v in enumerate(r["keypoints"])]} for r in results]


def same(results, labels):
    return [{"image_id": a["image_id"], "category_id": 1, "score": 1, "keypoints": a["keypoints"]} for a in labels]


def changed(folder, name, change):
    path = folder / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def given_the_labels(folder):
    labels = json.loads((folder / "gt.json").read_text())["annotations"]
    changed(folder, "pr.json", lambda results: same(results, labels))


REFUSED = {
    "few people": (lambda f: changed(f, "gt.json", few), {}, "expected 50 people or more"),
    "one image": (all_in_one_image, {}, "in 3 images or more, got"),
    "nobody alike": (lambda f: changed(f, "pr.json", elsewhere), {}, "got 0 in 0 (GT has 60 people, PRED 60)"),
    "other ids": (lambda f: changed(f, "pr.json", strange), {}, "are not in the labels"),
    "too few joints": (lambda f: changed(f, "pr.json", limbs), {}, "expected 8 or more of the 19 joints"),
    "the labels": (given_the_labels, {}, "PRED is GT"),
    "OUT exists": (lambda f: (f / "mine").mkdir(), {}, "mine exists; --overwrite"),
    "no weights to overwrite": (lambda f: (f / "mine").mkdir(), {"more": ["--overwrite"]}, "is no folder of weights"),
    "exported": (lambda f: None, {"source": "my.onnx"}, "my.onnx is exported and cannot be fitted"),
    "no such weights": (lambda f: None, {"source": "nowhere"}, "no weights at 'nowhere'"),
    "no images": (lambda f: None, {"images": "nowhere"}, "expected a folder of images"),
    "other images": (lambda f: (f / "empty").mkdir(), {"images": "empty"}, "holds no images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_before_any_work(data, given, stubbed, caplog, monkeypatch, name):
    change, options, words = REFUSED[name]
    looked = stubbed(fitted(60.0, 1.0))
    monkeypatch.chdir(given)
    change(given)
    assert fit(data, given, *options.get("more", ()), images=options.get("images"), source=options.get("source")) == 1
    assert words in caplog.text
    assert not looked
    assert not (given / "mine" / weights.CONFIG).exists()
    assert not (given / "mine.partial").exists()


def test_overwrite_replaces_weights(data, given, stubbed, caplog):
    stubbed(fitted(60.0, 1.0))
    shutil.copytree(data / "weights", given / "mine")
    assert fit(data, given) == 1
    assert "--overwrite" in caplog.text
    assert fit(data, given, "--overwrite") == 0
    assert weights.load(given / "mine")[1].name == "mine"


def test_of_many_people_some_are_drawn_by_image(data, given, stubbed, monkeypatch, caplog):
    monkeypatch.setattr(fit_module, "MOST", 51)
    looked = stubbed(fitted(60.0, 1.0))
    assert fit(data, given) == 0
    assert sum(looked[:3]) == 50
    assert "50 people are drawn of 60" in caplog.text
