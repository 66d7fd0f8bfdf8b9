"""A run of two steps on the tiny set: it moves what it should, resumes, and becomes weights."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import FIRST_MPII, Network, NetworkConfig
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training import decision, export, heldout, loop
from pose_refine.training.batches import Batch
from pose_refine.training.data import load_images, nearest_others, read_training_sets
from pose_refine.training.loop import SAME, Settings, learning_rate, losses, parameter_groups, taught, train
from pose_refine.training.tinypose import FRESH, load_start, mix

SHAPE = {"width": 8, "size": (64, 64)}


def settings_of(data, trunk_file, out, **changes):
    chosen = {"width": 8, "height": 64, "across": 64, "steps": 2, "batch": 2, "side": 128, "watch_every": 1}
    chosen["watch_people"] = 2
    chosen["seed"] = 1  # of 0 both poses of the second step are hidden
    return Settings(data=data, init=trunk_file, out=out, bf16=False, **{**chosen, **changes})


def read_log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(data, trunk_file, tmp_path_factory):
    """A finished run: its folder and its averaged network."""
    out = tmp_path_factory.mktemp("run")
    return out, train(settings_of(data, trunk_file, out))


def test_the_log_tells_what_was_run_and_how_it_went(run):
    start, *steps = read_log(run[0])
    assert [start["settings"][name] for name in ("width", "height", "across")] == [8, 64, 64]
    assert [start["first"], start["train"], start["held_out"]] == [0, 5, 2]
    assert [entry["step"] for entry in steps] == [1, 2]
    for entry in steps:
        assert 0 < entry["entropy"] < 1000
        assert 0 <= entry["oks_loss"] <= 1
        assert entry["doubled"] >= 0
        assert np.isfinite(entry["gain"])
        assert set(entry["held_out"]) == {"alpha", "beta"}
        assert all(0 <= value <= 100 for report in entry["held_out"].values() for value in report.values())


def test_training_starts_from_the_file_and_moves_every_part(run, trunk_file):
    before = Network(NetworkConfig(**SHAPE))
    load_start(before, trunk_file)
    trained = torch.load(run[0] / "checkpoint.pt", weights_only=True)["network"]
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, trained[name])}
    for part in ("trunk.stem.", "trunk.stages.2.", "trunk.down.", "image_only.", "pose4.", "pose8.", "head.", "prior"):
        assert any(name.startswith(part) for name in moved), part
    assert all(tensor.isfinite().all() for tensor in trained.values())
    start = before.trunk.stem.weight
    assert (trained["trunk.stem.weight"] - start).abs().max() < 0.01 * start.abs().max()  # after two steps


def test_the_average_lies_between_start_and_end(run, trunk_file):
    state = torch.load(run[0] / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    for name, tensor in run[1].state_dict().items():
        assert torch.equal(tensor, state["average"][name])
    assert not torch.equal(state["average"]["prior"], state["network"]["prior"])
    assert (state["average"]["prior"] != 2).any()


def test_a_run_that_was_cut_off_ends_as_if_it_was_not(run, data, trunk_file, tmp_path, monkeypatch):
    def cut_off(*_, **__):
        raise KeyboardInterrupt

    settings = settings_of(data, trunk_file, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "watch", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1
    resumed = train(settings)
    assert [entry["first"] for entry in read_log(tmp_path) if "first" in entry] == [0, 1]
    for name, tensor in run[1].state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, atol=1e-5, rtol=0)


def test_a_finished_run_is_left_as_it_is(run, data, trunk_file):
    before = (run[0] / "checkpoint.pt").read_bytes()
    again = train(settings_of(data, trunk_file, run[0]))
    assert (run[0] / "checkpoint.pt").read_bytes() == before
    assert torch.equal(again.state_dict()["prior"], run[1].state_dict()["prior"])


def test_export_writes_weights_that_load(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "fit", partial(decision.fit, steps=3))
    (tmp_path / "README.md").write_text("the card")
    export.export(data, run[0], "tiny", tmp_path)
    model, config = weights.load(tmp_path)
    assert [config.name, config.network(), config.views] == ["tiny", NetworkConfig(**SHAPE), 2]
    for name, tensor in run[1].state_dict().items():
        assert torch.equal(model.network.state_dict()[name], tensor.half().float())
    assert (tmp_path / "README.md").read_text() == "the card"


def test_a_run_without_an_estimator_neither_sees_nor_calibrates_on_it(data, trunk_file, tmp_path, monkeypatch):
    train(settings_of(data, trunk_file, tmp_path, without=("beta",)))
    start, *steps = read_log(tmp_path)
    assert start["settings"]["without"] == ["beta"]
    assert all(set(entry["held_out"]) == {"alpha"} for entry in steps)
    seen = []
    monkeypatch.setattr(export, "held_out_inputs", lambda people, *_: seen.append(people.estimators) or [])
    monkeypatch.setattr(export, "join_cases", lambda _: None)
    monkeypatch.setattr(export, "fit", lambda *_: None)
    export.export(data, tmp_path, "tiny", tmp_path / "weights")
    assert seen == [["alpha"]]


def test_scores_of_weights_may_be_fitted_anew(data, tmp_path):
    """All other tensors stay as they are, to the bit."""
    weights.save(Model(NetworkConfig(**SHAPE)), "tiny", tmp_path / "before")
    export.rescore(data, tmp_path / "before", "tiny", tmp_path / "after")
    before, after = (weights.load(tmp_path / folder)[0].state_dict() for folder in ("before", "after"))
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved - {"decision.theirs"} == {"decision.out.weight", "decision.out.bias"}
    assert all(
        torch.equal(before[f"decision.out.{part}"][:-1], after[f"decision.out.{part}"][:-1])
        for part in ("weight", "bias")
    )


def test_a_run_may_go_on_from_a_weights_folder(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "fit", partial(decision.fit, steps=3))
    export.export(data, run[0], "tiny", tmp_path / "weights", views=1)
    assert weights.read_config(tmp_path / "weights").views == 1
    went_on = train(settings_of(data, tmp_path / "weights", tmp_path / "run", steps=1))
    start = {name: tensor.half().float() for name, tensor in run[1].state_dict().items()}
    for name, tensor in went_on.state_dict().items():
        torch.testing.assert_close(tensor, start[name], atol=1e-3, rtol=0.05)
    with pytest.raises(ValueError, match=r"expected weights of the shape .*width=16"):
        train(settings_of(data, tmp_path / "weights", tmp_path / "other", width=16))


@pytest.mark.parametrize("steps", [2, 1000, 5000])
def test_learning_rate_warms_up_and_ends_at_zero(steps):
    rates = [learning_rate(step, steps) for step in range(steps + 1)]
    assert rates[0] == pytest.approx(1 / loop.WARM_UP)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert learning_rate(2 * steps, steps) == pytest.approx(0, abs=1e-12)
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert max(rates) <= 1


def test_a_run_may_begin_between_two_and_hold_what_it_was_given(data, trunk_file, tmp_path):
    """At a rate of 0 what PP-TinyPose has is held where the mixture put it, and the rest learns."""
    begun = tmp_path / "weights"
    weights.save(Model(NetworkConfig(**SHAPE)), "begun", begun)
    train(settings_of(data, begun, tmp_path / "run", mix_with=(trunk_file,), kept=0.5, rate_trunk=0.0))
    mixed = Network(NetworkConfig(**SHAPE))
    load_start(mixed, begun)
    mix(mixed, trunk_file, kept=0.5)
    trained = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["network"]
    moved = {name for name, tensor in mixed.state_dict().items() if not torch.equal(tensor, trained[name])}
    assert {name.split(".")[0] for name in moved} == {"pose4", "pose8", "head", "prior", "alone"}
    assert all(name.startswith(FRESH) for name in moved)


def test_every_parameter_is_in_one_group(data, trunk_file, tmp_path):
    """What the file holds learns slowly, the rest fast."""
    network = Network(NetworkConfig(**SHAPE))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_start(network, trunk_file)
    fresh, trunk = parameter_groups(network, settings_of(data, trunk_file, tmp_path))
    assert [fresh["rate"], trunk["rate"]] == [Settings.rate_fresh, Settings.rate_trunk]
    slow = {id(p) for p in trunk["params"]}
    assert slow | {id(p) for p in fresh["params"]} == {id(p) for p in network.parameters()}
    assert len(fresh["params"]) + len(trunk["params"]) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        assert (id(parameter) in slow) == (not torch.equal(parameter, before[name])), name
        assert (id(parameter) in slow) != name.startswith(FRESH)


def batch_of(truth, mpii=False):
    """A batch of which only truth and area matter."""
    nothing, area = torch.zeros(0), torch.full((len(truth),), 9000.0)
    return Batch(nothing, nothing, nothing, nothing, truth, area, torch.full((len(truth),), mpii))


def joint(name):
    return NETWORK.joints.index(name)


TAUGHT = {  # by COCO's label, and by MPII's: which maps learn of it, COCO's and MPII's
    "nose": ((True, False), (False, False)),
    "left_shoulder": ((True, False), (False, True)),
    "right_hip": ((True, False), (False, True)),
    "left_elbow": ((True, False), (True, True)),
    "right_wrist": ((True, False), (True, True)),
    "left_knee": ((True, False), (True, True)),
    "right_ankle": ((True, False), (True, True)),
    "upper_neck": ((True, False), (True, True)),
    "head_top": ((True, False), (True, True)),
}


@pytest.mark.parametrize("name", TAUGHT)
def test_taught(name):
    """What is the same for both teaches both kinds of maps, as far as there are two."""
    j = joint(name)
    truth = torch.full((2, 19, 2), torch.nan)
    truth[:, j] = torch.tensor([50.0, 60.0])
    maps = taught(truth, torch.tensor([False, True]))
    assert maps.shape == (2, NetworkConfig().maps, 2)
    for person, (coco, mpii) in enumerate(TAUGHT[name]):
        expected = ([j] if coco else []) + ([19 + j - FIRST_MPII] if mpii else [])
        known = ~torch.isnan(maps[person]).any(-1)
        assert known.nonzero().flatten().tolist() == expected
        assert (maps[person][known] == torch.tensor([50.0, 60.0])).all()
    assert SAME[j] == (TAUGHT[name][1][0])


MAPS = NetworkConfig().maps


def test_losses_of_a_hit_and_of_a_miss():
    """A joint that is found a known distance away costs 1 - OKS of that distance."""
    logits, truth = torch.zeros(1, MAPS, 64, 48), torch.full((1, 19, 2), torch.nan)
    logits[0, :, 30, 20] = 60
    found = torch.tensor([20 * 4 + 1.5, 30 * 4 + 1.5])
    truth[0, 9] = found
    hit_entropy, hit, _ = losses(logits, batch_of(truth))
    assert hit.item() == pytest.approx(0, abs=1e-4)
    truth[0, 9] = found + torch.tensor([6.0, 8.0])
    for mpii in (False, True):  # once for COCO's wrist, or the mean of both wrists' maps
        miss_entropy, miss, _ = losses(logits, batch_of(truth, mpii))
        assert miss.item() == pytest.approx(1 - np.exp(-100 / (2 * 9000 * (2 * SIGMAS[9]) ** 2)), abs=1e-3)
        assert miss_entropy > hit_entropy + 10


@pytest.mark.parametrize("mpii", [False, True])
def test_joints_without_a_label_or_outside_the_crop_cost_nothing(mpii):
    logits = torch.zeros(1, MAPS, 64, 48, requires_grad=True)
    truth = torch.full((1, 19, 2), torch.nan)
    a, b, c = (joint(name) for name in ("head_top", "nose", "upper_neck"))  # without mirror joints
    truth[0, [a, b, c]] = torch.tensor([(50.0, 60.0), (-3.0, 60.0), (50.0, 256.0)])
    sum(losses(logits, batch_of(truth, mpii))).backward()
    gradient = logits.grad.abs().sum((0, 2, 3))
    assert gradient.isfinite().all()
    expected = [a, MAPS - 1] if mpii else [a]
    assert gradient.nonzero().flatten().tolist() == expected


LEFT, RIGHT = joint("left_ankle"), joint("right_ankle")
AT, ELSEWHERE = (30, 20), (10, 40)  # cells
DOUBLED = {  # which ankles have a label, both at AT, and where the left one is found: cheap or dear
    "on the other one": ((False, True), AT, (2.0, 10.0)),
    "elsewhere": ((False, True), ELSEWHERE, (0.0, 0.01)),
    "on the other one, labelled so": ((True, True), AT, (0.0, 0.0)),
    "where it is": ((True, False), AT, (0.0, 0.01)),
    "nobody knows": ((False, False), AT, (0.0, 0.0)),
}


def doubled_case(labels, cell, sharpness=12.0):
    logits, truth = torch.zeros(1, MAPS, 64, 48), torch.full((1, 19, 2), torch.nan)
    logits[0, LEFT, cell[0], cell[1]] = sharpness
    place = torch.tensor([AT[1] * 4 + 1.5, AT[0] * 4 + 1.5])
    for j, there in zip((LEFT, RIGHT), labels, strict=True):
        if there:
            truth[0, j] = place
    return logits.requires_grad_(), truth


@pytest.mark.parametrize("name", DOUBLED)
def test_one_limb_is_not_two(name):
    """Of the maps of a joint without a label, only what they say of its mirror joint's place costs something."""
    labels, cell, (low, high) = DOUBLED[name]
    logits, truth = doubled_case(labels, cell)
    cost = losses(logits, batch_of(truth))[2].item()
    assert low <= cost <= high


def test_a_joint_that_is_doubled_is_sent_away():
    """Its map goes down where the mirror joint is and up elsewhere; the mirror joint's own map is left alone."""
    logits, truth = doubled_case((False, True), AT, sharpness=6.0)
    losses(logits, batch_of(truth))[2].backward()
    assert logits.grad[0, LEFT, AT[0], AT[1]] > 0 > logits.grad[0, LEFT, ELSEWHERE[0], ELSEWHERE[1]]
    others = [j for j in range(MAPS) if j != LEFT]
    assert (logits.grad[0, others] == 0).all()


def test_losses_of_a_batch_without_any_label():
    logits = torch.zeros(2, MAPS, 16, 16, requires_grad=True)
    found = losses(logits, batch_of(torch.full((2, 19, 2), torch.nan)))
    sum(found).backward()
    assert [value.item() for value in found] == [0, 0, 0]
    assert (logits.grad == 0).all()


def test_watching_an_estimator_that_is_never_right(data):
    """No joint can be harmed then; that is no harm, and no warning."""
    images, people = load_images(read_training_sets(data), 128)
    people.predicted[..., :2] += 60
    network = Network(NetworkConfig(**SHAPE))
    report = heldout.watch(network, images, people, nearest_others(people), np.array([0, 1]))
    assert set(report) == {"alpha", "beta"}
    assert report["alpha"]["before"] == 0
