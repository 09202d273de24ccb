import os
import tempfile
from pathlib import Path

import pytest

from qcbench.annotate import blindness
from qcbench.annotate.blindness import Door

ALICE, BOB, COORDINATORS = 40_001, 40_002, 40_009


def door(rater, owner, mode=0o2750, *, opens=False):
    return Door(rater, owner, COORDINATORS, mode, opens)


def judge(*doors, uid=50_000, members=()):
    return blindness.judge(list(doors), uid=uid, is_member=lambda account, group: account in members)


def test_before_two_raters_have_folders_nothing_can_be_said():
    assert (judge().state, "no rater has" in judge().found) == ("warning", True)
    alone = judge(door("alice", ALICE))
    assert (alone.state, "only alice has" in alone.found) == ("warning", True)


def test_folders_of_their_own_that_are_closed_enforce_it():
    found = judge(door("alice", ALICE), door("bob", BOB))
    assert (found.state, found.found.startswith("enforced")) == ("ok", True)


def test_one_shared_account_is_said_in_plain_words():
    found = judge(door("alice", ALICE), door("bob", BOB), door("carol", BOB))
    assert found.state == "warning"
    assert "by the code of the labeller only: the labels of bob, carol belong to one account" in found.found
    assert "chmod 2750" in found.next_step


@pytest.mark.parametrize("mode", [0o2755, 0o2754, 0o2751, 0o2757])
def test_a_folder_that_is_open_to_everybody_is_a_problem(mode):
    found = judge(door("alice", ALICE), door("bob", BOB, mode))
    assert found.state == "problem"
    assert f"the folder of bob is open to everybody (mode {mode:04o})" in found.found


def test_a_rater_in_the_group_of_another_is_a_problem():
    found = judge(door("alice", ALICE), door("bob", BOB), members={ALICE})
    assert found.state == "problem"
    assert "alice is in the group number 40009, which opens the folder of bob" in found.found


def test_a_group_that_gets_no_new_labels_is_told():
    found = judge(door("alice", ALICE, 0o750), door("bob", BOB))
    assert (found.state, "labels of alice do not go" in found.found) == ("warning", True)


def test_what_a_rater_can_read_counts_more_than_the_mode():
    doors = door("alice", ALICE, opens=True), door("bob", BOB, opens=True)
    assert judge(*doors, uid=ALICE).state == "problem"
    assert "can read the folder of bob" in judge(*doors, uid=ALICE).found


@pytest.mark.parametrize("uid", [0, 50_000])
def test_root_and_coordinators_read_everything_and_that_is_meant(uid):
    assert judge(door("alice", ALICE, opens=True), door("bob", BOB, opens=True), uid=uid).state == "ok"


def test_folders_made_under_this_account_are_shared(tmp_path):
    for rater in ("alice", "bob"):
        (tmp_path / f"rater={rater}").mkdir(mode=0o2750)
    found = blindness.doors(tmp_path)
    assert [each.rater for each in found] == ["alice", "bob"]
    assert blindness.judge(found, uid=os.geteuid()).state == "warning"


def test_folders_of_other_accounts_are_judged_as_they_are_on_the_disk(as_account):
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder)
        labels.chmod(0o755)
        for rater, owner in (("alice", ALICE), ("bob", BOB)):
            (labels / f"rater={rater}").mkdir()
            os.chown(labels / f"rater={rater}", owner, COORDINATORS)
            (labels / f"rater={rater}").chmod(0o2750)

        def opened():
            return {each.rater: each.opens for each in blindness.doors(labels)}

        assert blindness.judge(blindness.doors(labels), uid=0).state == "ok"
        assert as_account(ALICE, ALICE, opened) == {"alice": True, "bob": False}
        assert as_account(50_000, COORDINATORS, opened) == {"alice": True, "bob": True}
        (labels / "rater=bob").chmod(0o2755)
        assert blindness.judge(blindness.doors(labels), uid=0).state == "problem"
