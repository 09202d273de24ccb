"""The 68 metrics of a head: which keys, what moves them and what must not, and why they are null."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from qcbench import iqm_keys
from qcbench.iqm import anatomical
from qcbench.iqm.profiles import MRIQC_24, QCBENCH

PROFILES = (MRIQC_24, QCBENCH)
#: What says how large the image is, and not how good.
OF_THE_GRID = ("size_x", "size_y", "size_z", "spacing_x", "spacing_y", "spacing_z")


def measured(makers, arrays, profile=QCBENCH, **others):
    return anatomical.metrics(makers.anatomy(arrays, **others), profile)


def moved(first, second, rel=1e-9):
    """Return the keys that differ, those of the grid left aside."""
    assert first.keys() == second.keys()
    keys = [key for key in first if key not in OF_THE_GRID]
    return {key for key in keys if first[key] != pytest.approx(second[key], rel=rel, nan_ok=False)}


def padded(arrays, width=6):
    """Return the arrays with a margin of zeros, which is a frame, as a scanner's or a program's padding is."""
    wider = {name: np.pad(array, width) for name, array in arrays.items()}
    wider["frame"] = np.pad(arrays["frame"], width, constant_values=True)
    return wider


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_row_has_the_keys_of_the_dictionary_and_its_numbers_lie_in_their_ranges(makers, head, profile):
    found = measured(makers, head, profile)
    keys = {key.name: key for key in iqm_keys.keys_of("T1w")}
    assert found.values.keys() == keys.keys()
    assert found.reasons == {}
    for name, value in found.values.items():
        assert isinstance(value, int if keys[name].dtype == "int64" else float), name
        assert keys[name].low is None or value >= keys[name].low, name
        assert keys[name].high is None or value <= keys[name].high, name


def test_padding_moves_nothing_in_our_profile_and_four_metrics_in_mriqcs(makers, head):
    assert moved(measured(makers, head).values, measured(makers, padded(head)).values) == set()
    theirs = [measured(makers, arrays, MRIQC_24).values for arrays in (head, padded(head))]
    assert moved(*theirs) == {"rpve_csf", "rpve_gm", "rpve_wm", "wm2max"}


def test_a_wider_field_of_air_moves_nothing_in_our_profile(makers, head):
    # Far air that is in no mask of ours: the mask of the air ends at a distance from the head.
    wider = padded(head)
    far = wider["frame"] & ~np.pad(head["frame"], 6)
    wider["frame"][far] = False
    for name in ("raw", "harmonised"):
        wider[name][far] = 4.0
    assert moved(measured(makers, head).values, measured(makers, wider).values) == set()
    assert "efc" in moved(*(measured(makers, arrays, MRIQC_24).values for arrays in (head, wider)))


def test_defacing_below_nose_and_nape_moves_the_metrics_of_the_air_and_the_whole_head_in_mriqcs_profile_only(
    makers, head
):
    face = np.zeros(head["raw"].shape, bool)
    face[:, 24:, :8] = True
    face &= ~head["brain"]
    defaced = {**head, "head": head["head"] & ~face}
    for name in ("raw", "harmonised"):
        defaced[name] = np.where(face, 0, head[name])
    assert moved(measured(makers, head).values, measured(makers, defaced).values) == set()
    theirs = [measured(makers, arrays, MRIQC_24).values for arrays in (head, defaced)]
    assert moved(*theirs) == {"efc", "fber"}


def test_whole_numbers_of_another_scale_move_nothing(makers, head):
    tenfold = {**head, "raw": np.rint(head["raw"] * 10)}
    head["raw"] = np.rint(head["raw"] * 10) / 10
    assert moved(measured(makers, head).values, measured(makers, tenfold).values, rel=1e-6) == set()


def test_a_bias_field_of_another_scale_moves_nothing_in_our_profile(makers, head):
    scaled = {**head, "bias": head["bias"] * 7}
    assert moved(measured(makers, head).values, measured(makers, scaled).values) == set()
    theirs = [measured(makers, arrays, MRIQC_24).values for arrays in (head, scaled)]
    assert moved(*theirs) == {"inu_med", "inu_range"}


def test_reorientation_moves_only_the_names_of_the_axes(makers, head):
    turned = {name: np.flip(array.transpose(1, 0, 2), 0) for name, array in head.items()}
    first, second = measured(makers, head).values, measured(makers, turned).values
    assert moved(first, second) == {"fwhm_x", "fwhm_y"}
    assert (first["fwhm_x"], first["fwhm_y"]) == pytest.approx((second["fwhm_y"], second["fwhm_x"]))


def test_compressing_the_file_again_moves_nothing(makers, head, tmp_path):
    content = nib.Nifti1Image(head["raw"].astype(np.float32), np.eye(4)).to_bytes()
    rows = []
    for level in (1, 9):
        path = tmp_path / f"level-{level}.nii.gz"
        path.write_bytes(gzip.compress(content, level))
        rows.append(measured(makers, {**head, "raw": nib.load(path).get_fdata()}).values)
    assert moved(*rows) == set()


def test_noise_is_seen_by_signal_to_noise_and_blur_by_smoothness(makers, head):
    noisy, blurred = dict(head), dict(head)
    grain = np.random.default_rng(0).normal(0, 10, head["raw"].shape)
    blur = sum(np.roll(head["raw"], step, axis) for axis in range(3) for step in (-1, 0, 1)) / 9
    for name in ("raw", "harmonised"):
        scale = 1000 / 120 if name == "harmonised" else 1
        noisy[name] = np.abs(head["raw"] + grain) * scale
        blurred[name] = blur * scale
    clean = measured(makers, head).values
    assert measured(makers, noisy).values["snr_wm"] < 0.8 * clean["snr_wm"]
    assert measured(makers, noisy).values["cjv"] > 1.5 * clean["cjv"]
    assert measured(makers, noisy).values["fwhm_avg"] < clean["fwhm_avg"]
    assert measured(makers, blurred).values["fwhm_avg"] > 1.05 * clean["fwhm_avg"]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, -1.0, np.inf])
def test_a_constant_or_damaged_image_gives_nulls_with_reasons(makers, head, profile, value):
    for name in ("raw", "harmonised"):
        head[name] = np.full(head[name].shape, value)
    found = measured(makers, head, profile)
    for key in ("cjv", "cnr", "snr_wm", "snr_total", "snrd_wm", "qi_2", "fwhm_avg"):
        assert found.values[key] is None and len(found.reasons[key]) > 10, key
    assert_nulls_have_reasons(found)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_skull_stripped_image_has_tissue_metrics_and_reasons_for_those_of_the_air(makers, head, profile):
    for name in ("raw", "harmonised"):
        head[name] = np.where(head["brain"], head[name], 0)
    found = measured(makers, head, profile)
    for key in ("snrd_gm", "snrd_total", "qi_2", "fber"):
        assert found.values[key] is None, key
    assert "zero" in found.reasons["qi_2"] and "zero" in found.reasons["fber"]
    assert found.values["cjv"] == pytest.approx(measured(makers, head, profile).values["cjv"])
    assert found.values["snr_wm"] > 5
    assert_nulls_have_reasons(found)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_mask_that_failed_is_the_reason_of_all_that_needs_it(makers, head, profile):
    failures = {"brain": "no brain was found", "hat": "the template does not fit", "maps": "no tissue was found"}
    found = measured(makers, head, profile, brain=None, hat=None, maps=None, failures=failures)
    assert found.reasons["fwhm_x"] == found.reasons["fwhm_avg"] == "no brain was found"
    assert found.reasons["qi_1"] == found.reasons["summary_bg_n"] == "the template does not fit"
    assert found.reasons["cjv"] == found.reasons["rpve_gm"] == found.reasons["inu_med"] == "no tissue was found"
    assert found.values["size_x"] == 30
    assert_nulls_have_reasons(found)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("mask", ["brain", "head", "crown", "hat"])
def test_an_empty_mask_gives_nulls_with_reasons(makers, head, profile, mask):
    empty = np.zeros(head["raw"].shape, bool)
    found = measured(makers, head, profile, **{mask: empty})
    assert_nulls_have_reasons(found)
    if mask == "hat":
        assert found.values["qi_1"] is None and found.values["cnr"] is None


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 40, 5), (60, 4, 4)])
def test_tiny_and_flat_images_do_not_crash(makers, profile, shape):
    found = measured(makers, makers.head(shape), profile)
    assert found.values.keys() == {key.name for key in iqm_keys.keys_of("T1w")}
    assert_nulls_have_reasons(found)


def assert_nulls_have_reasons(found):
    assert found.reasons.keys() == {key for key, value in found.values.items() if value is None}
    assert -1.0 not in [value for key, value in found.values.items() if not key.startswith("summary")]
    assert all(value is None or np.isfinite(value) for value in found.values.values())
