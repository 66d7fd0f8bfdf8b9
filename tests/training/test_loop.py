"""A run of two steps on the tiny set: it moves what it should, resumes, and becomes weights."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from pose_refine.training.movenet import load_trunk

from pose_refine import weights
from pose_refine.network import Network, NetworkConfig
from pose_refine.skeletons import SIGMAS
from pose_refine.training import decision, export, heldout, loop
from pose_refine.training.batches import Batch
from pose_refine.training.data import load_images, nearest_others, read_training_sets
from pose_refine.training.loop import FROZEN, Settings, learning_rate, losses, parameter_groups, train


def settings_of(data, trunk_file, out, **changes):
    chosen = {"trunk": "lightning", "steps": 2, "batch": 2, "side": 128, "watch_every": 1, "watch_people": 2}
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
    assert start["settings"]["trunk"] == "lightning"
    assert [start["first"], start["train"], start["held_out"]] == [0, 5, 2]
    assert [entry["step"] for entry in steps] == [1, 2]
    for entry in steps:
        assert 0 < entry["entropy"] < 200
        assert 0 <= entry["oks_loss"] <= 1
        assert np.isfinite(entry["gain"])
        assert set(entry["held_out"]) == {"alpha", "beta"}
        assert all(0 <= value <= 100 for report in entry["held_out"].values() for value in report.values())


def test_frozen_layers_stay_and_all_others_move(run, trunk_file):
    torch.manual_seed(0)
    before = Network(NetworkConfig("lightning"))
    load_trunk(before, trunk_file)
    trained = torch.load(run[0] / "checkpoint.pt", weights_only=True)["network"]
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, trained[name]) == name.startswith(FROZEN), name
        assert trained[name].isfinite().all()


def test_the_average_lies_between_start_and_end(run, trunk_file):
    state = torch.load(run[0] / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    for name, tensor in run[1].state_dict().items():
        assert torch.equal(tensor, state["average"][name])
    assert not torch.equal(state["average"]["prior"], state["network"]["prior"])
    assert (state["average"]["prior"] != 3).any()


def test_a_run_that_was_cut_off_ends_as_if_it_was_not(run, data, trunk_file, tmp_path, monkeypatch):
    def cut_off(*_):
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
    assert [config.name, config.trunk] == ["tiny", "lightning"]
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


def test_a_run_may_go_on_from_a_weights_folder(run, data, trunk_file, tmp_path):
    export.export(data, run[0], "tiny", tmp_path)
    network = Network(NetworkConfig("lightning"))
    load_trunk(network, tmp_path)
    for name, tensor in run[1].state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor.half().float()), name
    with pytest.raises(ValueError, match="does not hold the thunder trunk"):
        load_trunk(Network(NetworkConfig("thunder")), tmp_path)


def test_a_trunk_of_another_size_is_named(data, trunk_file, tmp_path):
    with pytest.raises(ValueError, match="does not hold the thunder trunk; first mismatch: blocks"):
        load_trunk(Network(NetworkConfig("thunder")), trunk_file)


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


def test_every_trained_parameter_is_in_one_group(data, trunk_file, tmp_path):
    network = Network(NetworkConfig("lightning"))
    fresh, trunk = parameter_groups(network, settings_of(data, trunk_file, tmp_path))
    assert [fresh["rate"], trunk["rate"]] == [Settings.rate_fresh, Settings.rate_trunk]
    grouped = {id(p) for group in (fresh, trunk) for p in group["params"]}
    assert grouped == {id(p) for p in network.parameters() if p.requires_grad}
    assert len(grouped) == len(fresh["params"]) + len(trunk["params"])
    assert {id(network.prior), id(network.pose_branch.out.weight)} <= {id(p) for p in fresh["params"]}


def batch_of(truth):
    """A batch of which only truth and area matter."""
    nothing, area = torch.zeros(0), torch.full((len(truth),), 9000.0)
    return Batch(image=nothing, initial=nothing, others=nothing, trust=nothing, truth=truth, area=area)


def test_losses_of_a_hit_and_of_a_miss():
    """A joint that is found a known distance away costs 1 - OKS of that distance."""
    logits, truth = torch.zeros(1, 19, 64, 48), torch.full((1, 19, 2), torch.nan)
    logits[0, :, 30, 20] = 60
    found = torch.tensor([20 * 4 + 1.5, 30 * 4 + 1.5])
    truth[0, 9] = found
    hit_entropy, hit = losses(logits, batch_of(truth))
    assert hit.item() == pytest.approx(0, abs=1e-4)
    truth[0, 9] = found + torch.tensor([6.0, 8.0])
    miss_entropy, miss = losses(logits, batch_of(truth))
    assert miss.item() == pytest.approx(1 - np.exp(-100 / (2 * 9000 * (2 * SIGMAS[9]) ** 2)), abs=1e-3)
    assert miss_entropy > hit_entropy + 10


def test_joints_without_a_label_or_outside_the_crop_cost_nothing():
    logits = torch.zeros(1, 19, 64, 48, requires_grad=True)
    truth = torch.full((1, 19, 2), torch.nan)
    truth[0, :3] = torch.tensor([(50.0, 60.0), (-3.0, 60.0), (50.0, 256.0)])
    sum(losses(logits, batch_of(truth))).backward()
    gradient = logits.grad.abs().sum((0, 2, 3))
    assert gradient.isfinite().all()
    assert gradient[0] > 0
    assert (gradient[1:] == 0).all()


def test_watching_an_estimator_that_is_never_right(data):
    """No joint can be harmed then; that is no harm, and no warning."""
    images, people = load_images(read_training_sets(data), 128)
    people.predicted[..., :2] += 60
    network = Network(NetworkConfig("lightning"))
    report = heldout.watch(network, images, people, nearest_others(people), np.array([0, 1]))
    assert set(report) == {"alpha", "beta"}
    assert report["alpha"]["before"] == 0
