"""Classes, sources, gadolinium: drawn evenly, apart from each other, and stable when scans are added."""

import json
from collections import Counter

import numpy as np
import pytest

from qcbench import store
from qcbench.errors import StudyError, UsageError
from qcbench.imaging import simulate
from qcbench.prepare import draws


def scans(n):
    return [
        {
            "source": {"image_id": f"sub-{1 + k // 2:03d}_ses-{1 + k % 2}_T1w", "voxels_sha256": str(k)},
            "aligned": {"preprocessing_preset": "fast", "screenshot_sha256": str(k), "template_sha256": "t"},
            "judged": None,
        }
        for k in range(n)
    ]


def class_of(image):
    truth = image["planted"]
    return "sr" if truth["straight_reject"] else 1 + max(truth[name] for name in ("motion", "contrast", "noise"))


def test_every_class_is_drawn_evenly_and_gadolinium_goes_with_none():
    plan = list(draws.plan(scans(2), n=800, seed=0))
    assert Counter(map(class_of, plan)) == {"sr": 200, 1: 200, 2: 200, 3: 200}
    for tier in (1, 2, 3):
        injected = [image["planted"]["gadolinium"] for image in plan if class_of(image) == tier]
        assert 0.4 < np.mean(injected) < 0.6
    assert {image["planted"]["kind"] for image in plan if class_of(image) == "sr"} == set(simulate.KINDS)


def test_neither_session_nor_place_in_the_list_speaks_for_the_class():
    plan = list(draws.plan(scans(500), n=800, seed=0))
    for half in (lambda image: "_ses-1_" in image["image_id"], lambda image: image["place"] < 250):
        counts = Counter(class_of(image) for image in plan if half(image))
        assert all(70 <= counts[name] <= 130 for name in ("sr", 1, 2, 3)), counts
    assert len({image["place"] for image in plan}) > 350


def test_a_longer_plan_begins_like_a_shorter_one():
    short, longer = (list(draws.plan(scans(3), n=n, seed=1)) for n in (5, 9))
    assert longer[:5] == short
    assert list(draws.plan(scans(3), n=5, seed=2)) != short


def test_a_scan_more_changes_only_the_copies_that_fall_to_it():
    before, after = ({i["image_id"] for i in draws.plan(scans(n), n=300, seed=0)} for n in (20, 21))
    assert len(before - after) == len(after - before) < 40
    assert all(name.startswith("sub-011_ses-1_") for name in after - before)


def test_batches_hold_every_copy_once_and_one_source_each():
    chosen = scans(3)
    plan = list(draws.plan(chosen, n=60, seed=0))
    rows = list(draws.batches(chosen, plan))
    assert [row["part"] for row in rows] == list(range(len(rows)))
    assert sorted(image["image_id"] for row in rows for image in row["images"]) == sorted(i["image_id"] for i in plan)
    assert max(len(row["images"]) for row in rows) <= 8
    for row in rows:
        assert {chosen[image["place"]]["source"]["image_id"] for image in row["images"]} == {row["source"]["image_id"]}


class TestSources:
    @pytest.fixture
    def filled(self, study):
        images, aligned, consensus = [], [], []
        for number in range(1, 7):
            name = f"sub-{number:02d}_T1w"
            common = {"image_id": name, "participant_id": f"sub-{number:02d}", "source_path": "x", "simulated": False}
            images.append({**common, "bids_path": f"bids/{name}.nii.gz", "voxels_sha256": str(number)})
            preset = {"preprocessing_preset": "fast", "volume_path": "v", "source_voxels_sha256": str(number)}
            aligned.append({"image_id": name, **preset})
        images[1]["excluded_reason"] = "12 years old"
        aligned[2]["source_voxels_sha256"] = "of an earlier file"
        for number, reject, grade in ((1, False, 0), (2, False, 0), (3, False, 0), (4, True, None), (5, False, 2)):
            consensus.append(
                {
                    "image_id": f"sub-{number:02d}_T1w",
                    "straight_reject": reject,
                    "gadolinium": None if reject else number == 1,
                    **dict.fromkeys(("motion", "contrast", "noise"), grade),
                    "tier": None if reject else 1 + grade,
                    "decided_by": "raters",
                    "reviewers": [],
                    "label_event_ids": [],
                    "stale": False,
                    "simulated": False,
                }
            )
        store.write(study, "images", images)
        store.write(study, "preprocessed", aligned)
        store.write(study, "consensus", consensus)
        return study

    def test_tier1_leaves_out_what_is_excluded_changed_or_of_another_tier(self, filled):
        assert [row["source"]["image_id"] for row in draws.sources(filled, "tier1")] == ["sub-01_T1w"]
        assert [row["source"]["image_id"] for row in draws.sources(filled, "tier3")] == ["sub-05_T1w"]

    def test_all_leaves_out_straight_rejects_and_tells_what_was_judged(self, filled):
        found = {row["source"]["image_id"]: row["judged"] for row in draws.sources(filled, "all")}
        assert list(found) == ["sub-01_T1w", "sub-05_T1w", "sub-06_T1w"]
        assert found["sub-01_T1w"]["gadolinium"] is True
        assert found["sub-05_T1w"]["motion"] == 2
        assert found["sub-06_T1w"] is None

    def test_what_was_simulated_to_begin_with_is_judged_by_what_was_planted(self, filled):
        row = next(row for row in store.rows(filled, "images") if row["image_id"] == "sub-06_T1w")
        planted = {
            "straight_reject": True,
            "kind": "melon",
            "gadolinium": False,
            "motion": 0,
            "contrast": 0,
            "noise": 0,
        }
        store.upsert(filled, "images", [{**row, "simulated": True, "simulation": json.dumps({"planted": planted})}])
        assert "sub-06_T1w" not in {row["source"]["image_id"] for row in draws.sources(filled, "all")}

    def test_no_source_and_no_such_choice_are_refused(self, filled):
        with pytest.raises(StudyError, match="no preprocessed scan of tier2"):
            draws.sources(filled, "tier2")
        with pytest.raises(UsageError, match="all, tier1, tier2 or tier3; got 'good'"):
            draws.sources(filled, "good")
