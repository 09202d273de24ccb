"""The profile mriqc-24 beside numbers that MRIQC 24.0.2's own code found once in the same arrays.

They were computed by its StructuralQC, FunctionalQC and art_qi2, and by nipype 1.11 where MRIQC calls it, on the arrays
of conftest.py; `python -m benchmarks.iqm_against_mriqc` does so again on real heads. What AFNI computes is not here.
"""

import pytest

from qcbench.iqm import anatomical, functional
from qcbench.iqm.profiles import MRIQC_24

OF_THE_HEAD = {
    "cjv": 0.18904638554216865,
    "cnr": 3.630264679657621,
    "efc": 0.5329,
    "fber": 67.8976,
    "icvs_csf": 0.24727378044470083,
    "icvs_gm": 0.45273374984397796,
    "icvs_wm": 0.29999246971132115,
    "inu_med": 1.1998448275862068,
    "inu_range": 0.18569999999999975,
    "qi_1": 0.029709655638082377,
    "qi_2": 0.001218689821059007,
    "rpve_csf": 5.569972774151443,
    "rpve_gm": 5.554871496461415,
    "rpve_wm": 5.588523714998718,
    "size_x": 30,
    "size_y": 34,
    "size_z": 32,
    "snr_csf": 4.460058107269479,
    "snr_gm": 10.485991113350153,
    "snr_total": 10.434222172153039,
    "snr_wm": 16.356617295839484,
    "snrd_csf": 7.891272913831947,
    "snrd_gm": 13.924547707740498,
    "snrd_total": 14.2237758693761,
    "snrd_wm": 20.855506986555856,
    "spacing_x": 1.0,
    "spacing_y": 1.0,
    "spacing_z": 1.0,
    "summary_bg_k": -1.2001,
    "summary_bg_mad": 31.3817,
    "summary_bg_mean": 41.6019,
    "summary_bg_median": 42.0,
    "summary_bg_n": 11496.0,
    "summary_bg_p05": 4.0,
    "summary_bg_p95": 79.0,
    "summary_bg_stdv": 24.3111,
    "summary_csf_k": -1.1801,
    "summary_csf_mad": 30.3933,
    "summary_csf_mean": 400.5364,
    "summary_csf_median": 378.0,
    "summary_csf_n": 1438.7267439828713,
    "summary_csf_p05": 338.0,
    "summary_csf_p95": 648.0,
    "summary_csf_stdv": 84.7228,
    "summary_gm_k": -1.2117,
    "summary_gm_mad": 31.6288,
    "summary_gm_mean": 664.4127,
    "summary_gm_median": 667.0,
    "summary_gm_n": 2634.1658732792716,
    "summary_gm_p05": 627.0,
    "summary_gm_p95": 706.0,
    "summary_gm_stdv": 63.5966,
    "summary_wm_k": -1.1958,
    "summary_wm_mad": 31.1346,
    "summary_wm_mean": 990.1883,
    "summary_wm_median": 999.0,
    "summary_wm_n": 1745.4628161179908,
    "summary_wm_p05": 959.0,
    "summary_wm_p95": 1038.0,
    "summary_wm_stdv": 61.0587,
    "tpm_overlap_csf": 0.311438933978587,
    "tpm_overlap_gm": 0.45540442667979814,
    "tpm_overlap_wm": 0.35855492261528155,
    "wm2max": 0.9592851932954045,
}

OF_THE_SERIES = {
    "dummy_trs": 0,
    "dvars_nstd": 8.776427334827586,
    "dvars_std": 1.0177732279310345,
    "dvars_vstd": 1.024213593448276,
    "efc": 0.3248,
    "fber": 12425.332,
    "fd_mean": 0.20758620689655172,
    "fd_num": 7,
    "fd_perc": 23.333333333333332,
    "gsr_x": 1.3305308129929472e-05,
    "gsr_y": 2.3476832211599685e-05,
    "size_t": 30,
    "size_x": 12,
    "size_y": 14,
    "size_z": 10,
    "snr": 18.414656894142848,
    "spacing_tr": 2.0,
    "spacing_x": 3.0,
    "spacing_y": 3.0,
    "spacing_z": 3.0,
    "summary_bg_k": -0.3131,
    "summary_bg_mad": 0.1878,
    "summary_bg_mean": 5.0,
    "summary_bg_median": 5.0,
    "summary_bg_n": 1432.0,
    "summary_bg_p05": 5.0,
    "summary_bg_p95": 5.0,
    "summary_bg_stdv": 0.0647,
    "summary_fg_k": -1.2877,
    "summary_fg_mad": 40.3637,
    "summary_fg_mean": 556.4355,
    "summary_fg_median": 557.0,
    "summary_fg_n": 248.0,
    "summary_fg_p05": 511.0,
    "summary_fg_p95": 602.0,
    "summary_fg_stdv": 30.1866,
    "tsnr": 140.48763275146484,
}


@pytest.mark.parametrize("key", sorted(OF_THE_HEAD))
def test_an_anatomical_metric_is_that_of_mriqc(key, heads_metrics):
    assert heads_metrics[key] == pytest.approx(OF_THE_HEAD[key], rel=1e-3 if key == "qi_2" else 1e-6)


@pytest.mark.parametrize("key", sorted(OF_THE_SERIES))
def test_a_functional_metric_is_that_of_mriqc(key, series_metrics):
    assert series_metrics[key] == pytest.approx(OF_THE_SERIES[key], rel=1e-6)


@pytest.fixture(scope="module")
def heads_metrics(makers):
    return anatomical.metrics(makers.anatomy(makers.head()), MRIQC_24).values


@pytest.fixture(scope="module")
def series_metrics(makers):
    return functional.metrics(makers.run(makers.series()), MRIQC_24).values
