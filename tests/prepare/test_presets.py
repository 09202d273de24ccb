import pytest

from qcbench.errors import UsageError
from qcbench.prepare import presets


def test_paper_2022_has_the_numbers_of_the_paper():
    paper = presets.by_name("paper-2022")
    assert paper.bias.spline_distance_mm == 600
    assert paper.bias.shrink_factor == 4
    assert paper.bias.iterations == (50, 50, 50, 50)
    assert paper.bias.spacing_mm is None  # its own voxels
    assert not paper.bias.in_head
    assert paper.cubes_below_mm == 0.9
    assert paper.register.as_published
    assert paper.prefers_whole_head


def test_clinica_2026_differs_in_the_control_points_and_resamples_once():
    clinica = presets.by_name("clinica-2026")
    assert clinica.bias.spline_distance_mm == 200
    assert clinica.cubes_below_mm is None
    assert clinica.register == presets.by_name("paper-2022").register


def test_the_display_is_all_that_a_preset_with_min_max_changes():
    paper, bright = presets.by_name("paper-2022"), presets.by_name("paper-2022-min-max")
    assert (paper.display, bright.display) == ("percentile", "min-max")
    assert (paper.bias, paper.register) == (bright.bias, bright.register)


def test_the_fast_preset_does_not_depend_on_what_the_machine_holds():
    fast = presets.by_name("fast")
    assert not fast.prefers_whole_head
    assert fast.bias.spacing_mm == 4


def test_an_unknown_name_is_bad_use_and_names_those_there_are():
    with pytest.raises(UsageError, match=r"no preset 'slow'.*fast, paper-2022"):
        presets.by_name("slow")
