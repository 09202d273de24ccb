from qcbench import iqm_keys
from qcbench.iqm import definitions, norms


def test_each_modality_has_the_metrics_that_were_counted():
    assert (len(norms.of("T1w")), len(norms.of("bold")), norms.of("T2w")) == (62, 31, {})
    for modality in ("T1w", "bold"):
        assert norms.of(modality).keys() <= {key.name for key in iqm_keys.keys_of(modality)}
        assert all(found.low <= found.high for found in norms.of(modality).values())


def test_a_known_quartile():
    assert norms.of("T1w")["snr_wm"] == (10.8836, 20.9199)
    assert norms.of("T1w")["snr_wm"].iqr == 20.9199 - 10.8836


def test_what_our_profile_defines_in_another_way_is_not_compared():
    ours = norms.of("T1w", "qcbench")
    assert {"cjv", "snr_wm", "summary_wm_mean", "fwhm_x"} <= ours.keys()
    assert not {"efc", "fber", "qi_2", "inu_med", "snrd_wm", "rpve_gm", "summary_bg_mean", "wm2max"} & ours.keys()


def test_the_two_lists_of_what_differs_agree():
    for modality in ("T1w", "bold"):
        for entry in definitions.dictionary(modality):
            # Rounding does not move a metric out of its quarter.
            differs = entry["in_qcbench"] not in ("", "nothing is rounded")
            assert norms._is_defined_otherwise(entry["name"]) == differs, entry["name"]


def test_the_origin_is_named():
    assert norms.origin("T1w") == "about 799,000 T1w records of the MRIQC Web-API (CC0)"
