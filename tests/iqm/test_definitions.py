import json

import pytest

from qcbench import iqm_keys
from qcbench.iqm.definitions import dictionary


@pytest.mark.parametrize(("modality", "number"), [("T1w", 68), ("T2w", 68), ("bold", 44)])
def test_every_key_has_a_definition_and_a_reference(modality, number):
    entries = dictionary(modality)
    assert [entry["name"] for entry in entries] == [key.name for key in iqm_keys.keys_of(modality)]
    assert len(entries) == number
    assert all(len(entry["definition"]) > 5 and len(entry["reference"]) > 5 for entry in entries)
    assert json.loads(json.dumps(entries)) == entries


def test_the_longest_beginning_counts():
    of_bold = {entry["name"]: entry for entry in dictionary("bold")}
    assert of_bold["dvars_nstd"]["definition"] != of_bold["dvars_std"]["definition"]
    of_t1w = {entry["name"]: entry for entry in dictionary("T1w")}
    assert "air near the head" in of_t1w["summary_bg_k"]["in_qcbench"]
    assert of_t1w["summary_wm_k"]["in_qcbench"] == "nothing is rounded"
    assert of_t1w["cjv"]["in_qcbench"] == ""
