import pytest

from qcbench.prepare import limits, presets


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_no_limit_is_below_what_a_head_takes(preset):
    bounds = limits.of(preset)
    assert 0 < bounds.need_gb < bounds.most_gb
    assert bounds.timeout_s >= 600


def test_the_fit_of_the_paper_gets_the_memory_and_the_minutes_that_it_takes():
    for preset in ("paper-2022", "paper-2022-min-max"):
        assert limits.of(preset).need_gb > 6.05
        assert limits.of(preset).timeout_s >= 3600
    assert limits.of("fast").need_gb < 2
