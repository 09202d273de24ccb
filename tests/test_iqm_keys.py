import json

import pytest

from qcbench import iqm_keys


def names(keys):
    return {key.name for key in keys}


def test_there_are_as_many_keys_as_mriqc_has():
    assert len(iqm_keys.ANATOMICAL) == len(names(iqm_keys.ANATOMICAL)) == 68
    assert len(iqm_keys.FUNCTIONAL) == len(names(iqm_keys.FUNCTIONAL)) == 44


def test_the_keys_that_older_versions_lack_are_optional():
    assert sum(not key.optional for key in iqm_keys.ANATOMICAL) == 56
    assert [key.name for key in iqm_keys.FUNCTIONAL if key.optional] == ["dummy_trs"]


def test_a_key_says_its_unit_and_what_is_better():
    found = {key.name: (key.unit, key.better, key.dtype) for key in iqm_keys.FUNCTIONAL}
    assert found["fd_mean"] == ("mm", "low", "float64")
    assert found["tsnr"] == ("", "high", "float64")
    assert found["size_t"] == ("volumes", "", "int64")


@pytest.mark.parametrize(("file", "keys"), [("*T1w.json", iqm_keys.ANATOMICAL), ("*bold.json", iqm_keys.FUNCTIONAL)])
def test_the_keys_are_those_of_real_records(real_data, file, keys):
    (path,) = (real_data / "mriqc" / "webapi_fixtures" / "mriqc24").glob(file)
    record = json.loads(path.read_text())
    assert set(record) - {"bids_meta", "provenance"} == names(keys)
    for key in keys:
        assert key.low is None or record[key.name] >= key.low, key.name
        assert key.high is None or record[key.name] <= key.high, key.name
