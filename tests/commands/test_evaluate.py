import json
import re
import sys

import cv2
import numpy as np
import pytest
from fakes import mpii as fake_mpii

from pose_refine.cli import main
from pose_refine.skeletons import SKELETONS

NAMES = SKELETONS["coco17"].joints


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def annotations(*people, **more):
    """COCO annotations of images 1.png, 2.png ...: each person an (image, shift); all joints at (50 + shift, 60)."""
    listed = [{"id": i, "file_name": f"{i}.png"} for i in sorted({image for image, _ in people})]
    found = [
        {"id": n + 1, "image_id": image, "category_id": 1, "keypoints": [50 + shift, 60, 2] * 17, "num_keypoints": 17,
         "area": 5000, "bbox": [40, 50, 20, 20], "iscrowd": 0, **more}
        for n, (image, shift) in enumerate(people)
    ]  # fmt: skip
    return {"images": listed, "annotations": found, "categories": [{"id": 1, "keypoints": list(NAMES)}]}


def results(*people, **more):
    return [
        {"image_id": i, "category_id": 1, "keypoints": [50 + s, 60, 0.5] * 17, "score": 0.9, **more} for i, s in people
    ]


def video(*frames, scores=True, heads=True):
    """PoseTrack 2017: each frame a dict of track id to shift; all joints at (100 + shift, 50); head size 6."""
    head = {"x1": [0], "y1": [0], "x2": [6], "y2": [8]} if heads else {}
    score = {"score": [0.5]} if scores else {}

    def person(track, shift):
        points = [{"id": [k], "x": [100 + shift], "y": [50], **score} for k in range(15)]
        return {"track_id": [track], **head, "annopoints": [{"point": points}]}

    return {
        "annolist": [
            {"image": [{"name": f"v/{n}.png"}], "annorect": [person(*p) for p in frame.items()]}
            for n, frame in enumerate(frames)
        ]
    }


def evaluate(tmp_path, truth, predictions, metric, *more):
    """Runs the command; returns the exit code and the figures."""
    out = tmp_path / "figures.json"
    paths = [
        p if hasattr(p, "exists") else write(tmp_path / f"{n}.json", p) for n, p in (("gt", truth), ("pr", predictions))
    ]
    arguments = [
        "--truth",
        paths[0],
        "--predictions",
        paths[1],
        "--metric",
        metric,
        "--json",
        out,
        "--overwrite",
        *more,
    ]
    code = main(["evaluate", *map(str, arguments)])
    return code, json.loads(out.read_text()) if code == 0 else None


def test_oks(tmp_path, capsys):
    """Two people, one exact, one far off: precision 1 up to recall 1/2, which are 51 of the 101 recalls looked at."""
    code, found = evaluate(tmp_path, annotations((1, 0), (2, 0)), results((1, 0), (2, 900), score=0.5), "oks")
    assert code == 0
    before = found["before"]
    assert before["AP"]["total"] == pytest.approx(100 * 51 / 101)
    assert before["AR"]["total"] == 50
    assert before["AP"]["groups"].keys() == {"head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"}
    assert (found["people"], found["images"]) == (2, 2)
    text = capsys.readouterr().out
    assert "2 people in 2 images" in text
    assert "| | head | shoulder | elbow | wrist | hip | knee | ankle | total |" in text
    assert re.search(r"^\| AP \|( 50\.5 \|){8}$", text, re.MULTILINE)


def test_oks_of_one_group(tmp_path):
    """Only the wrists are wrong: their AP is 0, the ankles' is 100."""
    wrong = results((1, 0))
    for name in ("left_wrist", "right_wrist"):
        wrong[0]["keypoints"][3 * NAMES.index(name)] = 900
    _, found = evaluate(tmp_path, annotations((1, 0)), wrong, "oks")
    assert (found["before"]["AP"]["groups"]["wrist"], found["before"]["AP"]["groups"]["ankle"]) == (
        0,
        pytest.approx(100),
    )


def test_posetrack(tmp_path, capsys):
    """One person, exact, and in the last frame missed: AP counts both frames, tracking drops the last."""
    _, found = evaluate(tmp_path, video({1: 0}, {1: 0}, scores=False), video({7: 0}, {}), "posetrack")
    assert [found["before"][name]["total"] for name in ("AP", "MOTA", "MOTP", "precision", "recall")] == [
        50,
        *[100] * 4,
    ]
    _, found = evaluate(tmp_path, video({1: 0}, {1: 0}, scores=False), video({7: 0}, {}), "posetrack", "--as-defined")
    assert [found["before"][name]["total"] for name in ("AP", "MOTA", "recall")] == [50, 50, 50]
    assert found["as_defined"] is True


def test_posetrack_videos_in_folders(tmp_path):
    for name, shift in (("a", 0), ("b", 900)):
        write(tmp_path / "truth" / f"{name}.json", video({1: 0}, {1: 0}, scores=False))
        write(tmp_path / "mine" / f"{name}.json", video({7: shift}, {7: shift}))
    write(tmp_path / "mine" / "more.json", video({7: 0}))
    code, found = evaluate(tmp_path, tmp_path / "truth", tmp_path / "mine", "posetrack")
    assert (code, found["images"]) == (0, 4)
    assert found["before"]["recall"]["total"] == 50


def test_posetrack_without_track_ids(tmp_path, caplog):
    predictions = video({7: 0}, {7: 0})
    for frame in predictions["annolist"]:
        del frame["annorect"][0]["track_id"]
    _, found = evaluate(tmp_path, video({1: 0}, {1: 0}, scores=False), predictions, "posetrack")
    assert list(found["before"]) == ["AP"]
    assert "no track ids: AP only" in caplog.text


def test_videos_in_one_file(tmp_path):
    """PoseTrack 2018: the last frame of each video is dropped, so that two videos of one frame are an error."""
    truth = annotations((1, 0), (2, 0), bbox_head=[0, 0, 6, 8], track_id=1)
    predictions = annotations((1, 0), (2, 0), scores=[0.5] * 17, track_id=1)
    code, found = evaluate(tmp_path, truth, predictions, "posetrack")
    assert (code, found["before"]["MOTA"]["total"]) == (0, 100)
    for i, image in enumerate(truth["images"]):
        image["vid_id"] = str(i)
    assert evaluate(tmp_path, truth, predictions, "posetrack")[0] == 1


def test_mpii(tmp_path):
    """An image without any prediction: MPII's toolkit does not count its people."""
    truth, predictions = video({1: 0}, {1: 0}, scores=False), video({7: 0}, {})
    assert evaluate(tmp_path, truth, predictions, "mpii")[1]["before"]["AP"]["total"] == 100
    assert evaluate(tmp_path, truth, predictions, "mpii", "--as-defined")[1]["before"]["AP"]["total"] == 50


def test_pckh_of_the_official_mat_file(tmp_path):
    """Head size 6; the ankle is 3 px off, the knee 3.1: half of the joints are right."""
    heads = {"x1": 0.0, "y1": 0.0, "x2": 6.0, "y2": 8.0}
    labels = [fake_mpii.point(0, 10.0, 20.0), fake_mpii.point(1, 30.0, 40.0)]
    fake_mpii.save(tmp_path / "mpii.mat", ("a.jpg", [{**fake_mpii.rect(*labels), **heads}]))
    joints = [[13.0, 20.0], [30.0, 43.1], *[[-1, -1]] * 14]
    mine = [{"image": "a.jpg", "joints": joints, "joints_vis": [1, 1] + [0] * 14}]
    code, found = evaluate(tmp_path, tmp_path / "mpii.mat", mine, "pckh")
    assert code == 0
    assert found["before"]["PCKh@0.5"]["total"] == 50
    assert found["before"]["PCKh@0.5"]["joints"]["right_ankle"] == 100
    assert found["before"]["PCKh@0.5"]["groups"]["knee"] is None  # the left one is not labelled
    assert found["before"]["AUC"]["total"] == pytest.approx(25 / 50)  # 0 but in the last of 50 trapezoids, of 0 and 50


def test_refining(coco, tiny, tmp_path, capsys):
    """Before, after and the difference; the difference is what it says."""
    folder = coco(3)
    given = json.loads((folder / "poses.json").read_text())
    truth = annotations(*[(i, 0) for i in range(3)])
    for person, entry in zip(truth["annotations"], given, strict=True):
        person["keypoints"] = [2 if k % 3 == 2 else v for k, v in enumerate(entry["keypoints"])]
    for image in truth["images"]:
        image["file_name"] = f"{image['id']:012d}.png"
    more = ("--refine", folder / "images", "--weights", tiny, "--device", "cpu", "-o", tmp_path / "table.md")
    code, found = evaluate(tmp_path, truth, given, "oks", *more)
    assert code == 0
    assert found["before"]["AP"]["total"] == 100
    for name, row in found["difference"].items():
        for group, value in row["groups"].items():
            assert value == found["after"][name]["groups"][group] - found["before"][name]["groups"][group]
    assert found["after"]["AP"]["total"] < 100  # an untrained network harms a perfect pose
    text = (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out == ""
    assert [line.split("|")[1].strip() for line in text.splitlines()[4:7]] == [
        "AP, before",
        "AP, after",
        "AP, difference",
    ]
    assert json.loads((folder / "poses.json").read_text()) == given


def test_refining_videos(tiny, tmp_path):
    for name in ("0.png", "1.png"):
        (tmp_path / "images" / "v").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / "v" / name), np.full((100, 200, 3), 128, np.uint8))
    truth, given = video({1: 0}, {1: 0}, scores=False), video({7: 0}, {7: 0})
    more = ("--refine", tmp_path / "images", "--weights", tiny, "--device", "cpu")
    code, found = evaluate(tmp_path, truth, given, "posetrack", *more)
    assert code == 0
    assert found["difference"]["MOTA"]["total"] == found["after"]["MOTA"]["total"] - found["before"]["MOTA"]["total"]


def test_joints_that_the_refiner_doubts_are_left_out(tiny, tmp_path, caplog):
    """All are refined, none is surely right: nothing is left to be found, or to be wrong."""
    (tmp_path / "images" / "v").mkdir(parents=True)
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(tmp_path / "images" / "v" / name), np.full((100, 200, 3), 128, np.uint8))
    truth, given = video({1: 0}, {1: 0}, scores=False), video({7: 0}, {7: 0})
    more = ("--weights", tiny, "--device", "cpu", "--least-score", 1.0)
    code, found = evaluate(tmp_path, truth, given, "posetrack", "--refine", tmp_path / "images", *more)
    assert code == 0
    assert (found["before"]["recall"]["total"], found["after"]["recall"]["total"]) == (100, 0)
    assert found["after"]["precision"]["total"] is None
    assert evaluate(tmp_path, truth, given, "posetrack", *more) == (1, None)
    assert "--least-score needs --refine" in caplog.text


LABELS, MINE = annotations((1, 0)), results((1, 0))
OLD, TRACKS = video({1: 0}, {1: 0}, scores=False), video({7: 0}, {7: 0})
WITHOUT_AREA = annotations((1, 0))
del WITHOUT_AREA["annotations"][0]["area"]
NO_SCORE = results((1, 0))
del NO_SCORE[0]["score"]
UNKNOWN = {**LABELS, "categories": [{"id": 1, "keypoints": [f"thing{i}" for i in range(17)]}]}
BAD = {
    "unknown joints": (UNKNOWN, MINE, "oks", "no skeleton has the joints"),
    "other images": (LABELS, results((9, 0)), "oks", "1 of 1 images with predictions are not in the labels: 9"),
    "no labels": ({**LABELS, "annotations": []}, MINE, "oks", "expected labelled people, got none in 1 images"),
    "nothing labelled": (annotations((1, 0), keypoints=[0] * 51), MINE, "oks", "expected labelled people, got none"),
    "no predictions": (LABELS, [], "oks", "expected predictions, got nobody"),
    "nobody in the predictions": (OLD, video({}, {}), "posetrack", "expected predictions, got nobody"),
    "score NaN": (LABELS, results((1, 0), score=float("nan")), "oks", "it has NaN for a number"),
    "joint score NaN": (LABELS, results((1, 0), keypoints=[1, 1, float("nan")] * 17), "oks", "it has NaN for a number"),
    "place infinite": (LABELS, results((1, 0), keypoints=[float("inf"), 1, 1] * 17), "oks", "it has Infinity"),
    "no person scores": (LABELS, NO_SCORE, "oks", "expected a finite 'score' of every person"),
    "score that is no number": (LABELS, results((1, 0), score="high"), "oks", "score: expected a number"),
    "no areas": (WITHOUT_AREA, MINE, "oks", "expected the 'area' of every person"),
    "no joint scores": (OLD, video({7: 0}, {7: 0}, scores=False), "mpii", "expected scores of joints"),
    "predictions as labels": (TRACKS, TRACKS, "posetrack", "expected labels, got predictions: people in v/0.png have"),
    "results as labels": (MINE, MINE, "oks", "expected labels, got predictions"),
    "no heads": (video({1: 0}, {1: 0}, scores=False, heads=False), TRACKS, "posetrack", "expected the head box"),
    "no heads in COCO": (LABELS, MINE, "pckh", "expected the head box"),
    "frames missing": (OLD, video({7: 0}), "posetrack", "the predictions lack 1 of 2 images: v/1.png"),
    "one frame": (video({1: 0}, scores=False), video({7: 0}), "posetrack", "drop_last_frame leaves none"),
    "track ids missing": (OLD, video({7: 0}, {None: 0}), "posetrack", "got none of predicted people"),
    "another number of people": (OLD, video({7: 0, 8: 5}, {7: 0}), "pckh", "expected one prediction for each of 1"),
    "not a document": (LABELS, {"people": []}, "oks", "expected COCO results or annotations, PoseTrack or MPII JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, tmp_path, caplog):
    truth, predictions, metric, message = BAD[name]
    assert evaluate(tmp_path, truth, predictions, metric) == (1, None)
    assert message in caplog.text


def test_files_that_are_not_there(tmp_path, caplog):
    truth = write(tmp_path / "truth" / "a.json", OLD)
    (tmp_path / "empty").mkdir()
    for first, second, message in (
        (tmp_path / "none.json", truth, "no such file or folder"),
        (truth.parent, truth, "expected two files or two folders"),
        (truth.parent, tmp_path / "empty", "no predictions for 1 of 1 videos: a.json"),
        (tmp_path / "empty", truth.parent, "expected .json files, got none"),
        (truth, write(tmp_path / "blank.json", ""), "expected a JSON object or list, got str"),
    ):
        assert evaluate(tmp_path, first, second, "posetrack") == (1, None)
        assert message in caplog.text
    (tmp_path / "blank.json").write_text("")
    assert evaluate(tmp_path, truth, tmp_path / "blank.json", "posetrack") == (1, None)
    assert "not a JSON file" in caplog.text


def test_images_that_are_not_there(tmp_path, caplog):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "1.png"), np.zeros((9, 9, 3), np.uint8))
    truth, given = annotations((1, 0), (2, 0)), results((1, 0), (2, 0))
    assert evaluate(tmp_path, truth, given, "oks", "--refine", tmp_path / "images") == (1, None)
    assert "1 of 2 images with predictions are not there" in caplog.text
    assert evaluate(tmp_path, truth, given, "oks", "--refine", tmp_path / "none") == (1, None)
    assert "expected a folder of images" in caplog.text


def test_nothing_is_overwritten_unasked(tmp_path, caplog):
    truth, given = write(tmp_path / "gt.json", LABELS), write(tmp_path / "pr.json", MINE)
    out = write(tmp_path / "out.json", {})
    arguments = ["--truth", truth, "--predictions", given, "--metric", "oks"]
    for option in ("-o", "--json"):
        assert main(["evaluate", *map(str, [*arguments, option, out])]) == 1
        assert "use --overwrite" in caplog.text
        assert out.read_text() == "{}"
    both = tmp_path / "both"
    assert main(["evaluate", *map(str, [*arguments, "-o", both, "--json", both])]) == 1
    assert "--json and -o name the same file" in caplog.text
    assert not both.exists()


def test_joints_that_the_predictions_lack_are_told(tmp_path, caplog):
    truth = video({1: 0}, {1: 0}, scores=False)
    given = [{**r, "image_id": f"v/{i}.png"} for i, r in enumerate(results((0, 50), (1, 50)))]
    code, _ = evaluate(tmp_path, truth, given, "mpii")
    assert code == 0
    assert "upper_neck, head_top: not in the predictions (coco17), counted as missed" in caplog.text


def test_an_extra_that_is_not_installed(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    assert evaluate(tmp_path, LABELS, MINE, "oks") == (1, None)
    assert 'pip install "pose-refine[eval]"' in caplog.text


UNKNOWN_JOINTS = {"labels": "--truth-skeleton", "predictions": "--skeleton"}


@pytest.mark.parametrize("whose", UNKNOWN_JOINTS)
def test_the_option_is_named_that_is_missing(tmp_path, caplog, whose):
    odd = [{"image_id": 1, "keypoints": [5.0, 6.0, 0.5] * 29, "score": 0.5}]
    labels = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "categories": [],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": [5.0, 6.0, 2] * 29, "area": 9.0}],
    }
    truth, given = (labels, MINE) if whose == "labels" else (LABELS, odd)
    assert evaluate(tmp_path, truth, given, "oks")[0] == 1
    assert f"29 joints need {UNKNOWN_JOINTS[whose]};" in caplog.text
    assert "skeleton=" not in caplog.text


def test_no_cell_is_empty(tmp_path, capsys):
    assert evaluate(tmp_path, LABELS, MINE, "oks")[0] == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| A")]
    assert len(rows) >= 5
    assert not any(cell.strip() == "" for row in rows for cell in row.strip("|").split("|"))


def test_golden_posetrack_files(golden_files_folder, tmp_path):
    """Sequences of real size: equal to the official tool's table, and in PoseTrack 2018's layout, too."""
    folder, scenario = golden_files_folder, "combined_mess"
    expected = json.loads((folder / "golden.json").read_text())["posetrack"][scenario]
    for name in ("gt", f"pred/{scenario}"):
        for path in (folder / "posetrack" / name).iterdir():
            write(tmp_path / "2018" / name / path.name, as_2018(json.loads(path.read_text())))
    for root in (folder / "posetrack", tmp_path / "2018"):
        code, found = evaluate(tmp_path, root / "gt", root / "pred" / scenario, "posetrack")
        assert code == 0
        for row, table in (("AP", "ap_table"), ("MOTA", "mota_table")):
            ours = {**found["before"][row]["groups"], "total": found["before"][row]["total"]}
            assert ours == pytest.approx(expected[table], abs=1e-6)


def as_2018(document):
    """PoseTrack 2017's layout as 2018's."""
    order = [SKELETONS["posetrack17"].joints.index(name) for name in SKELETONS["posetrack15"].joints]
    images, people = [], []
    for i, entry in enumerate(document["annolist"]):
        images.append({"id": i, "file_name": entry["image"][0]["name"]})
        for rect in entry["annorect"]:
            x, y, x1, y1 = (rect[k][0] for k in ("x1", "y1", "x2", "y2"))
            keypoints, scores = np.zeros((17, 3)), [0.0] * 17
            for point in rect["annopoints"][0]["point"]:
                joint = order[point["id"][0]]
                keypoints[joint] = point["x"][0], point["y"][0], 1
                scores[joint] = point.get("score", [0])[0]
            person = {"image_id": i, "category_id": 1, "track_id": rect["track_id"][0]}
            person |= {"keypoints": keypoints.reshape(-1).tolist(), "bbox_head": [x, y, x1 - x, y1 - y]}
            people.append({**person, "scores": scores if any(scores) else []})
    category = {"id": 1, "keypoints": list(SKELETONS["posetrack17"].joints)}
    return {"images": images, "annotations": people, "categories": [category]}
