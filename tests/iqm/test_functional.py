"""The 44 metrics of a series: which keys, what moves them, and why they are null."""

import numpy as np
import pytest

from qcbench import iqm_keys
from qcbench.iqm import functional
from qcbench.iqm.profiles import MRIQC_24, QCBENCH

PROFILES = (MRIQC_24, QCBENCH)


def measured(makers, arrays, profile=QCBENCH, **others):
    return functional.metrics(makers.run(arrays, **others), profile)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_row_has_the_keys_of_the_dictionary_and_its_numbers_lie_in_their_ranges(makers, series, profile):
    found = measured(makers, series, profile)
    keys = {key.name: key for key in iqm_keys.keys_of("bold")}
    assert found.values.keys() == keys.keys()
    # The invented grain is alternating along z.
    assert found.reasons.keys() == {"fwhm_z", "fwhm_avg"}
    for name, value in found.values.items():
        if value is not None:
            assert isinstance(value, int if keys[name].dtype == "int64" else float), name
            assert keys[name].low is None or value >= keys[name].low, name
            assert keys[name].high is None or value <= keys[name].high, name


def test_known_motion_is_found(makers, series):
    parameters = np.zeros((30, 6))
    parameters[10:, 0] = 0.3
    parameters[20:, 3] = 0.002
    found = measured(makers, series, parameters=parameters).values
    assert (found["fd_mean"], found["fd_num"]) == (pytest.approx(0.4 / 29), 1)
    assert found["fd_perc"] == pytest.approx(100 / 30)


def test_a_spike_raises_what_looks_for_change_and_a_drift_lowers_the_ratio(makers, series):
    calm = measured(makers, series).values
    spiked, drifting = dict(series), dict(series)
    spiked["data"] = series["data"].copy()
    spiked["data"][..., 12] *= 1.3
    drifting["data"] = series["data"] * np.linspace(0.9, 1.1, 30, dtype=np.float32)
    spiked, drifting = (measured(makers, arrays).values for arrays in (spiked, drifting))
    assert spiked["dvars_nstd"] > calm["dvars_nstd"] + 0.9 * 2 * 300 / 29
    assert spiked["dvars_std"] > 2 * calm["dvars_std"]
    assert spiked["aor"] == pytest.approx(1 / 30, rel=0.01)
    assert drifting["tsnr"] < 0.3 * calm["tsnr"]
    assert drifting["gcor"] > 0.9 > calm["gcor"]


def test_voxels_beyond_the_air_mask_move_nothing_in_our_profile(makers, series):
    wider = {
        name: np.pad(series[name], [(0, 0), (3, 3), (0, 0)] + [(0, 0)] * (series[name].ndim == 4))
        for name in ("data", "brain")
    }
    wider["parameters"] = series["parameters"]
    air = np.pad(makers.run(series).air, [(0, 0), (3, 3), (0, 0)])
    first, second = measured(makers, series).values, measured(makers, wider, air=air).values
    # The ghost lies half a field away, whatever the field is: a padded series has none.
    keys = [key for key in first if key not in ("size_y", "gsr_x", "gsr_y", "dummy_trs") and first[key] is not None]
    assert {key: second[key] for key in keys} == pytest.approx({key: first[key] for key in keys}, rel=1e-9)
    theirs = [
        measured(makers, arrays, MRIQC_24, **more).values for arrays, more in ((series, {}), (wider, {"air": air}))
    ]
    assert theirs[0]["efc"] != pytest.approx(theirs[1]["efc"], rel=0.01)
    assert theirs[0]["summary_bg_mean"] != pytest.approx(theirs[1]["summary_bg_mean"], rel=0.01)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_a_constant_or_damaged_series_gives_nulls_with_reasons(makers, series, profile, value):
    series["data"] = np.full(series["data"].shape, value, np.float32)
    found = measured(makers, series, profile, global_signal=np.zeros(30))
    for key in ("dvars_std", "tsnr", "gcor", "snr", "fwhm_x"):
        assert found.values[key] is None, key
    assert found.values["size_t"] == 30
    assert_nulls_have_reasons(found)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_one_volume_has_no_metrics_of_change(makers, series, profile):
    series["data"], series["parameters"] = series["data"][..., :1], series["parameters"][:1]
    found = measured(makers, series, profile)
    for key in ("dvars_nstd", "aor", "fd_mean", "tsnr"):
        assert found.values[key] is None, key
    assert found.values["snr"] > 1
    assert_nulls_have_reasons(found)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_what_could_not_be_made_is_the_reason_of_all_that_needs_it(makers, series, profile):
    failures = {"brain": "no brain was found", "parameters": "the motion could not be estimated"}
    found = measured(makers, series, profile, brain=None, parameters=None, repetition_time_s=None, failures=failures)
    assert found.reasons["tsnr"] == found.reasons["gsr_y"] == "no brain was found"
    assert found.reasons["fd_num"] == "the motion could not be estimated"
    assert "repetition time" in found.reasons["spacing_tr"]
    assert_nulls_have_reasons(found)


def assert_nulls_have_reasons(found):
    assert found.reasons.keys() == {key for key, value in found.values.items() if value is None}
    assert all(value is None or np.isfinite(value) for value in found.values.values())
