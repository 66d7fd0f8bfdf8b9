"""RefineBatch by itself, and as Ray Data runs it on two processes of this machine."""

import json
import os
import runpy
import signal
import sys
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from pose_refine.integrations.ray import RefineBatch

DEMO = files("pose_refine") / "demo"
ASTRONAUT = str(DEMO / "astronaut.jpg")
EXAMPLE = Path(__file__).parents[2] / "examples" / "refine_on_ray.py"
by_ray = pytest.mark.filterwarnings("ignore")  # Ray Data warns of its own settings
COCO = (DEMO / "movenet_lightning.json").read_text()


@pytest.fixture(scope="module")
def refine_batch():
    threads = torch.get_num_threads(), cv2.getNumThreads()
    yield RefineBatch(device="cpu")
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


@pytest.fixture
def person(pose):
    """(1, 17, 3); a missing joint is 0, 0, 0."""
    return np.nan_to_num(pose)


def table(poses, images=ASTRONAUT):
    column = np.empty(len(poses), dtype=object)
    column[:] = poses
    return pd.DataFrame({"image": images, "poses": column, "key": range(len(poses))})


def test_poses_come_back_in_the_kind_that_they_came_in(refine_batch, refiner, person):
    nested = np.empty(1, dtype=object)  # as pandas has what Arrow says is a list of lists of lists
    nested[0] = np.array([None] * 17, dtype=object)
    for k, joint in enumerate(person[0]):
        nested[0][k] = joint
    before = table([COCO, person.tolist(), nested, person, person[0].tolist()])
    after = refine_batch(before)
    assert after["error"].tolist() == [""] * 5
    assert after["key"].tolist() == before["key"].tolist()
    assert list(after) == ["image", "poses", "key", "error"]
    assert before["poses"][0] == COCO
    expected = refiner.refine(ASTRONAUT, person)
    text, lists, objects, array, one = after["poses"]
    wanted = refiner.refine(ASTRONAUT, json.loads(COCO))
    np.testing.assert_allclose(json.loads(text)[0]["keypoints"], wanted[0]["keypoints"], atol=1e-2)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-2)
    assert isinstance(lists, list)
    assert isinstance(lists[0][0][0], float)
    assert lists == objects == array.tolist()
    assert one == array[0].tolist()


def test_a_bad_row_says_why_and_the_others_are_refined(refine_batch, person, tmp_path):
    (tmp_path / "damaged.jpg").write_bytes(b"no picture")
    people, ragged, infinite = person.tolist(), [[[1, 2], [3]]], [[[float("inf")] * 3] * 17]
    images = [str(tmp_path / "none.jpg"), str(tmp_path / "damaged.jpg"), *[ASTRONAUT] * 6, None]
    given = [people, COCO, "{not JSON", ragged, infinite, None, people, [], people]
    after = refine_batch(table(given, images))
    words = ["no such image", "not an image file", "not a JSON file", "", "expected finite", "got NoneType", "", "", ""]
    failed = [True, True, True, True, True, True, False, False, True]
    assert [error != "" for error in after["error"]] == failed
    assert all(word in error for word, error in zip(words, after["error"], strict=True))
    for row in np.flatnonzero(failed):
        assert after["poses"][row] == given[row]
    assert after["poses"][6] != people
    assert after["poses"][7] == []


def test_a_device_that_fails_ends_the_job(refine_batch, person, monkeypatch):
    """A broken GPU would else call all of its rows bad, faster than the others refine them."""

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(refine_batch.refiner, "refine", fail)
    with pytest.raises(torch.OutOfMemoryError):
        refine_batch(table([person.tolist()]))


@pytest.mark.parametrize(("change", "words"), [({"image": "path"}, "'image'.*missing"), ({"key": "error"}, "rename")])
def test_a_table_that_is_not_as_it_should_be(refine_batch, change, words):
    with pytest.raises(ValueError, match=words):
        refine_batch(table([COCO]).rename(columns=change))


def test_no_rows(refine_batch):
    assert list(refine_batch(table([]))) == ["image", "poses", "key", "error"]


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason='needs Ray Data: the extra "ray"')
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)  # two actors, and one core to read with
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


def refined_by(cluster, worker, frame, actors=2):
    options = {"compute": cluster.data.ActorPoolStrategy(size=actors), "batch_format": "pandas", "batch_size": 2}
    dataset = cluster.data.from_pandas([frame[i : i + 2] for i in range(0, len(frame), 2)] or [frame])
    return dataset.map_batches(worker, **options).to_pandas()


@by_ray
def test_ray_loses_nothing_when_a_worker_is_killed(cluster, refine_batch, person, tmp_path):
    """The same answers as one process gives, to the bit: both run the network on one thread."""
    killed = tmp_path / "killed"

    class DiesOnce(RefineBatch):  # in here, so that Ray sends the class and not the name of this module
        def __call__(self, batch):
            if 2 in batch["key"].tolist() and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(batch)

    moved = [(person + np.float32([i, 0, 0]) * (person != 0)).tolist() for i in range(6)]
    frame = table(moved, [*[ASTRONAUT] * 5, "nowhere.jpg"])
    after = refined_by(cluster, DiesOnce, frame).sort_values("key", ignore_index=True)
    assert killed.exists()
    alone = refine_batch(frame)
    assert after["key"].tolist() == list(range(6))
    assert (
        after["error"].tolist()
        == alone["error"].tolist()
        == [""] * 5 + ["FileNotFoundError: no such image: nowhere.jpg"]
    )
    for ours, theirs in zip(after["poses"], alone["poses"], strict=True):
        np.testing.assert_array_equal(np.stack([np.stack(list(p)) for p in ours]), theirs)


@by_ray
def test_an_empty_table(cluster):
    assert len(refined_by(cluster, RefineBatch, table([]), actors=1)) == 0


@by_ray
def test_the_example(cluster, tmp_path, monkeypatch, capsys):
    """Whole or not at all: a job that fails leaves no OUT, one that is done is not replaced unasked."""
    frame = table([COCO] * 4, [ASTRONAUT] * 4)
    frame.to_json(tmp_path / "table.jsonl", orient="records", lines=True)
    out = tmp_path / "out"
    arguments = [str(tmp_path / "table.jsonl"), "-o", str(out), "--actors", "1", "--batch-rows", "1"]
    monkeypatch.setattr(sys, "argv", ["refine_on_ray.py", *arguments])
    main = runpy.run_path(str(EXAMPLE))["main"]

    class Breaks(RefineBatch):
        def __call__(self, batch):
            raise RuntimeError("the device failed")

    with monkeypatch.context() as patch, pytest.raises(Exception, match="the device failed"):
        patch.setitem(main.__globals__, "RefineBatch", Breaks)
        main()
    assert not out.exists()
    main()
    after = pd.read_parquet(out).sort_values("key", ignore_index=True)
    assert after["key"].tolist() == [0, 1, 2, 3]
    assert after["error"].tolist() == [""] * 4
    assert all(json.loads(text) != json.loads(COCO) for text in after["poses"])
    with pytest.raises(SystemExit):
        main()
    assert "use --overwrite" in capsys.readouterr().err
    assert len(pd.read_parquet(out)) == 4
