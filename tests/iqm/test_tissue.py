import numpy as np
import pytest

from qcbench.iqm import tissue
from qcbench.iqm.reasons import NotMeasurableError


def test_shares_above_a_half_count_as_they_are_and_others_as_what_is_missing():
    share = np.concatenate([np.full(50, 0.75), np.full(50, 0.125)])
    assert tissue.rpve(share, whole_field=False) == (50 * 0.75 + 50 * 0.875) / 100


def test_a_larger_field_raises_mriqcs_partial_volume_error_and_not_ours():
    share = np.concatenate([np.full(50, 0.75), np.full(50, 0.125)])
    wider = np.concatenate([share, np.zeros(900)])
    assert tissue.rpve(wider, whole_field=True) == tissue.rpve(share, whole_field=True) + 9
    assert tissue.rpve(wider, whole_field=False) == tissue.rpve(share, whole_field=False)


def test_no_map_is_changed():
    share = np.linspace(0, 1.5, 100)
    before = share.copy()
    for whole_field in (True, False):
        tissue.rpve(share, whole_field=whole_field)
    assert np.array_equal(share, before)


def test_a_map_overlaps_itself_wholly_and_another_not_at_all():
    share = np.array([0.2, 0.9, 0.0, 0.0])
    assert tissue.tpm_overlap(share, share) == 1
    assert tissue.tpm_overlap(share, share[::-1]) == 0


def test_the_range_of_a_field_is_relative_to_its_mean():
    field = np.arange(1.0, 102.0)
    assert tissue.inu(field, over_mean=False) == {"med": 51, "range": 90}
    assert tissue.inu(field * 3, over_mean=True) == pytest.approx({"med": 1, "range": 90 / 51})


@pytest.mark.parametrize(
    "formula",
    [
        lambda: tissue.icvs({"csf": np.zeros(3), "gm": np.zeros(3), "wm": np.zeros(3)}),
        lambda: tissue.rpve(np.zeros(3), whole_field=True),
        lambda: tissue.tpm_overlap(np.zeros(3), np.zeros(3)),
        lambda: tissue.inu(np.zeros(0), over_mean=False),
    ],
)
def test_a_head_without_tissue_is_refused_with_a_reason(formula):
    with pytest.raises(NotMeasurableError, match="no voxel belongs"):
        formula()
