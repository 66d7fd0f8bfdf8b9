"""Parity with the official tools' numbers on synthetic data of this project's own."""

import json
from functools import cache

import numpy as np
import pytest

from pose_refine.metrics import ground_truth as people
from pose_refine.metrics.groups import group_means, mean_of_defined
from pose_refine.metrics.matching import frames, pair
from pose_refine.metrics.multi_person import average_precision
from pose_refine.metrics.pckh import head_size, pckh
from pose_refine.metrics.posetrack import pose_ap, tracking
from pose_refine.skeletons import get_skeleton

SCENARIOS = (
    "all_15_joints_predicted", "combined_mess", "duplicates", "empty_frames", "fp_person_each_frame", "id_switch",
    "jitter_0.2", "jitter_0.6", "last_frame_lost", "lr_swap_15", "missing_joints_20", "missing_person",
    "neighbour_joint_15", "perfect", "scores_informative", "scores_shuffled",
)  # fmt: skip
EDGES = (
    "threshold_equal", "last_frame_dropped", "no_prediction_frame", "no_prediction_frame_multi_seq", "gt_empty_frame",
    "gt_rect_without_points_frame", "gt_rect_with_empty_point_list_frame", "unlabelled_joint_predicted",
    "joint_never_labelled_not_predicted", "joint_never_labelled_but_predicted", "joint_labelled_never_predicted",
    "score_missing", "two_predictions_one_gt", "two_predictions_tie", "second_choice_not_used", "pck_denominator_is_gt",
    "id_after_gap", "id_same_after_gap", "id_swap_two", "carry_over_beats_nearer", "tracking_ignores_pose_matching",
    "ignore_region", "ignore_region_border", "duplicate_joint_id", "score_ties",
)  # fmt: skip
PCKH = ("perfect", "good", "noisy", "swaps_and_missing")


@pytest.fixture(scope="module")
def folder(golden_files_folder):
    return golden_files_folder


@pytest.fixture(scope="module")
def golden(folder):
    return json.loads((folder / "golden.json").read_text())


def equal(ours, golden, tolerance=1e-6):
    expected = [np.nan if v is None else v for v in golden]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)


def with_total(values):
    return [*values, mean_of_defined(values)]


@cache
def sequences(truth, predicted, skeleton="posetrack15"):
    """Name of each sequence to its frames."""
    found = {}
    for path in sorted(truth.iterdir()):
        documents = [json.loads((part / path.name).read_text()) for part in (truth, predicted)]
        found[path.stem] = frames(pair(*map(people.read, documents)), skeleton)
    return found


def check_posetrack(found, golden):
    """Everything that poseval says of some sequences."""
    ap = pose_ap([frame for sequence in found for frame in sequence])
    for name, values in (("ap", ap.ap), ("pre", ap.precision), ("rec", ap.recall)):
        equal(with_total(values), golden["ap"][name])
    mot = tracking(found)
    for name, values in (("mota", mot.mota), ("pre", mot.precision), ("rec", mot.recall)):
        equal(with_total(values), golden["mot"][name])
    if "motp_matches_only" in golden:
        equal(with_total(mot.motp), golden["motp_matches_only"])
    for table, values in (("ap_table", ap.ap), ("mota_table", mot.mota)):
        if table in golden:
            joints = get_skeleton("posetrack15").joints
            ours = {**group_means(values, joints), "total": mean_of_defined(values)}
            assert ours.keys() == golden[table].keys()
            equal(list(ours.values()), [golden[table][k] for k in ours])
    if "mot_counts" in golden:
        for name in ("objects", "misses", "false_positives", "switches", "detections"):
            assert getattr(mot, name).tolist() == golden["mot_counts"][f"num_{name}"]
        distances = (1 - mot.motp / 100) * mot.detections
        equal(distances[mot.detections > 0], np.array(golden["mot_counts"]["sum_dist_matches"])[mot.detections > 0])


def test_the_tables_here_are_complete(golden):
    assert set(SCENARIOS) == golden["posetrack"].keys() == golden["mpii_multi"].keys()
    assert {*EDGES, "single_frame_sequence"} == golden["edge"].keys()
    assert set(PCKH) == golden["pckh"]["synthetic300"].keys()


@pytest.mark.parametrize("name", SCENARIOS)
def test_posetrack(golden, folder, name):
    found = sequences(folder / "posetrack/gt", folder / f"posetrack/pred/{name}")
    check_posetrack(list(found.values()), golden["posetrack"][name])
    for sequence, expected in golden["posetrack"][name]["sequences"].items():
        check_posetrack([found[sequence]], expected)


@pytest.mark.parametrize("name", EDGES)
def test_edge_cases(golden, folder, name):
    found = sequences(folder / f"edge/{name}/gt", folder / f"edge/{name}/pred")
    check_posetrack(list(found.values()), golden["edge"][name])
    for sequence, expected in golden["edge"][name].get("sequences", {}).items():
        check_posetrack([found[sequence]], expected)


def test_what_stops_the_official_tool_is_an_error(golden, folder):
    assert golden["edge"]["single_frame_sequence"]["error"].startswith("IndexError")
    found = sequences(folder / "edge/single_frame_sequence/gt", folder / "edge/single_frame_sequence/pred")
    with pytest.raises(ValueError, match="1 frames, of which drop_last_frame leaves none"):
        tracking(list(found.values()))


@pytest.mark.parametrize("name", SCENARIOS)
def test_mpii_multi_person(golden, folder, name):
    found = sequences(folder / "posetrack/gt", folder / f"posetrack/pred/{name}", "lsp14").values()
    everything = [frame for sequence in found for frame in sequence]
    for tool, ours in (
        ("mpii_toolkit_octave", average_precision(everything, skip_unpredicted=True)),
        ("poseval_without_nose", pose_ap(everything)),
    ):
        expected = golden["mpii_multi"][name][tool]
        equal(with_total(ours.ap), expected["ap"])
        assert ours.labelled.tolist() == expected["n_gt_counted"]
        table = {**group_means(ours.ap, get_skeleton("lsp14").joints), "total": mean_of_defined(ours.ap)}
        equal([table[k] for k in expected["table"]], expected["table"].values())


@pytest.mark.parametrize("name", PCKH)
def test_pckh(golden, folder, name):
    data = np.load(folder / "pckh" / "synthetic300.npz")
    poses, truth, sizes = data[f"pred_{name}"], data["gt"], head_size(data["head_rect"])
    expected = golden["pckh"]["synthetic300"][name]
    ours = pckh(poses, truth, sizes)
    equal(ours.joints, expected["per_joint_mpii16"].values())
    by_name = dict(zip(expected["per_joint_mpii16"], ours.joints, strict=True))
    groups = group_means(ours.joints, get_skeleton("mpii16").joints)

    toolkit = expected["mpii_toolkit_octave"]
    equal([by_name[k] for k in toolkit["per_joint"]], toolkit["per_joint"].values())
    equal([groups[k] for k in toolkit["groups"]], toolkit["groups"].values())
    equal([ours.total, ours.upper_body], [toolkit["total"], toolkit["upper_body"]])
    equal([ours.auc], [toolkit["auc"]], tolerance=1e-4)
    equal(ours.curve, toolkit["curve_total"])

    poseval = expected["poseval_computePCK"]
    equal([by_name[k] for k in poseval["per_joint"]], poseval["per_joint"].values())
    equal([ours.total], [poseval["total"]])

    hrnet = expected["hrnet_evaluate"]  # its Head is the head top alone, its Mean@0.1 is at 0.11
    equal([by_name["head_top"], ours.total], [hrnet["Head"], hrnet["Mean"]])
    equal([groups[k.lower()] for k in hrnet if k.lower() in groups and k != "Head"],
          [hrnet[k] for k in hrnet if k.lower() in groups and k != "Head"])  # fmt: skip
    equal([pckh(poses, truth, sizes, threshold=0.11).total], [hrnet["Mean@0.1"]])

    own = expected["definition_numpy"]
    equal([ours.total, ours.auc, ours.curve.mean()], [own[k] for k in ("total", "auc_trapezoid", "mean_of_curve")])
    for key, threshold in (("total_at_0_1", 0.1), ("total_at_0_11", 0.11)):
        equal([pckh(poses, truth, sizes, threshold=threshold).total], [own[key]])
    equal([pckh(poses, truth, sizes, leave_out=()).total], [own["total_16_joints"]])
