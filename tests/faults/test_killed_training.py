"""kill -9 of a training: it goes on after its last whole epoch, and its weights are those of one that was let be."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.faults import training

ROUNDS, KILLS = (5, 5) if os.environ.get("QCBENCH_LONG_FAULTS") else (1, 2)
KILLED = -signal.SIGKILL
#: One epoch is whole, and a step of the next was made.
IN_SECOND_EPOCH = training.STEPS_AN_EPOCH + 1


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """All processes, one after another; returns the folder and what became of each, by name."""
    folder = tmp_path_factory.mktemp("training")
    rng = random.Random(0)
    orders = ["undisturbed:never", f"torn:{IN_SECOND_EPOCH}", "torn:writing", f"torn:{IN_SECOND_EPOCH}", "torn:cut"]
    orders += ["torn:never"]
    for number in range(ROUNDS):
        # Up to the last step of the second epoch: some kills come before a new checkpoint, some after one.
        moments = [rng.randrange(1, 2 * training.STEPS_AN_EPOCH) for _ in range(KILLS)]
        orders += [f"killed-{number}:{moment}" for moment in [*moments, "never"]]
    command = [sys.executable, "-m", "tests.faults.training", str(folder), *orders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = defaultdict(list)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows[row["name"]].append(row)
    return folder, rows


def outcome(campaign, name):
    """The weights, and what was noted of the way to them."""
    folder, _ = campaign
    facts = json.loads((folder / name / "facts.json").read_text())
    return (folder / name / "weights.safetensors").read_bytes(), facts


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_training_killed_at_random_steps_ends_with_the_same_bits(campaign, number):
    name = f"killed-{number}"
    statuses = [row["status"] for row in campaign[1][name]]
    n_killed = statuses.count(KILLED)
    assert statuses == [KILLED] * n_killed + [0] * (len(statuses) - n_killed)
    assert n_killed >= 2
    weights, facts = outcome(campaign, name)
    expected_weights, expected_facts = outcome(campaign, "undisturbed")
    assert facts["went_on_after_epochs"] != expected_facts["went_on_after_epochs"] == []
    assert facts["curves"] == expected_facts["curves"]
    assert weights == expected_weights


def test_a_checkpoint_torn_in_writing_leaves_the_one_before(campaign):
    killed, torn, killed_again, cut, whole = campaign[1]["torn"]
    assert [row["status"] for row in (killed, torn, killed_again, whole)] == [KILLED, KILLED, KILLED, 0]
    assert (killed["last_epoch"], torn["last_epoch"]) == (0, 0)
    assert [name for name in torn["files"] if "0001" in name] == [".epoch-0001.safetensors.1-dead.tmp"]
    # A disk may also lose what it said it had: the hash tells, and the epoch before is taken.
    assert (killed_again["last_epoch"], cut["last_epoch"]) == (1, 0)
    assert outcome(campaign, "torn")[0] == outcome(campaign, "undisturbed")[0]
    last = [f"epoch-{epoch:04d}" for epoch in (training.EPOCHS - 2, training.EPOCHS - 1)]
    assert whole["files"] == [f"{name}.{kind}" for name in last for kind in ("json", "safetensors")]
