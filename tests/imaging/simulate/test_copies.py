"""Copies: none changes nothing, more is worse, a grade that is asked for is the grade that is seen."""

import numpy as np
import pytest

from qcbench.errors import UsageError
from qcbench.imaging import simulate
from qcbench.imaging.simulate import grades

GRADED = [(c, name) for c, family in simulate.ARTEFACTS.items() for name in family if c != "gadolinium"]
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("name", [name for family in simulate.ARTEFACTS.values() for name in family])
def test_strength_zero_gives_the_very_same_voxels(head, name):
    family = next(family for family in simulate.ARTEFACTS.values() if name in family)
    assert family[name][0](head, 0.0, np.random.default_rng(0)) is head.data


def test_nothing_planted_is_the_source(head, sight):
    copy = simulate.with_strengths(head, {}, seed=4, sight=sight)
    assert copy.head.data is head.data
    assert copy.severity == {"contrast": 0, "motion": 0, "noise": 0}
    assert copy.grades == {"contrast": 0, "motion": 0, "noise": 0}
    assert not copy.gadolinium


@pytest.mark.parametrize(("characteristic", "name"), GRADED)
@pytest.mark.parametrize("which", ["head", "another"])
def test_severity_rises_with_strength(characteristic, name, which, request):
    head = request.getfixturevalue(which)
    sight = simulate.Sight(head)
    for seed in (0, 1):
        seen = [
            simulate.with_strengths(head, {name: s}, seed=seed, sight=sight).severity[characteristic] for s in STRENGTHS
        ]
        assert seen[0] == 0
        # A millionth of slack for the flat beginning of what first leaves the brain alone.
        assert np.all(np.diff(seen) > -1e-6), seen
        assert seen[-1] > seen[1], seen


@pytest.mark.parametrize("characteristic", ["motion", "contrast", "noise"])
@pytest.mark.parametrize("grade", [0, 1, 2])
def test_a_grade_that_is_asked_for_is_measured(another, characteristic, grade):
    sight = simulate.Sight(another)
    copies = [simulate.draw(another, **{characteristic: grade}, seed=seed, sight=sight) for seed in range(10)]
    assert sum(copy.grades[characteristic] == grade for copy in copies) >= 9
    others = [name for name in ("motion", "contrast", "noise") if name != characteristic]
    assert all(copy.grades[name] == 0 for copy in copies for name in others)


def test_draws_of_one_grade_take_different_artefacts(head, sight):
    copies = [simulate.draw(head, contrast=1, seed=seed, sight=sight) for seed in range(12)]
    names = {name for copy in copies for name in copy.strengths if name in simulate.ARTEFACTS["contrast"]}
    assert len(names) >= 3


def test_the_same_arguments_give_the_same_bytes(head):
    asked = {"gadolinium": True, "motion": 2, "contrast": 1, "noise": 1}
    first, second = (simulate.draw(head, **asked, seed=5) for _ in range(2))
    assert first.head.data.tobytes() == second.head.data.tobytes()
    assert first.severity == second.severity
    assert simulate.draw(head, **asked, seed=6).head.data.tobytes() != first.head.data.tobytes()


def test_noise_is_not_taken_for_motion(head, sight):
    noisy = simulate.with_strengths(head, {"noise": 0.8}, seed=0, sight=sight)
    assert noisy.grades == {"contrast": 0, "motion": 0, "noise": 2}


def test_one_steps_draws_do_not_depend_on_another(head, sight):
    alone = simulate.with_strengths(head, {"abrupt": 0.4}, seed=3, sight=sight)
    both = simulate.with_strengths(head, {"abrupt": 0.4, "gadolinium": 0.0, "noise": 0.0}, seed=3, sight=sight)
    assert np.array_equal(alone.head.data, both.head.data)


@pytest.mark.parametrize("name", ["mixing", "low_resolution", "thick_slices", "uneven_brightness"])
def test_poor_contrast_draws_grey_and_white_matter_together(head, name):
    copy = simulate.with_strengths(head, {name: 0.8}, seed=2)
    _, grey, white = head.levels
    is_grey = head.brain & (np.abs(head.data - grey) < 0.08 * white)
    is_white = head.brain & (np.abs(head.data - white) < 0.08 * white)
    where = {"uneven_brightness": copy.head.data < np.median(copy.head.data[head.brain])}.get(name, head.brain)

    def apart(data):
        return data[is_white & where].mean() - data[is_grey & where].mean()

    assert apart(copy.head.data) < 0.8 * apart(head.data)


def test_gadolinium_brightens_vessels_and_leaves_the_rest(head):
    copy = simulate.with_strengths(head, {"gadolinium": 1.0}, seed=0)
    white = head.levels[2]
    vessels, rest = head.enhancement > 0.9, head.enhancement == 0
    assert copy.gadolinium
    assert copy.head.data[vessels].mean() > 1.2 * white > 1.2 * head.data[vessels].mean()
    assert np.array_equal(copy.head.data[rest], head.data[rest])
    assert copy.grades == {"contrast": 0, "motion": 0, "noise": 0}


def test_the_strengths_on_record_make_the_same_voxels(head, sight, monkeypatch):
    monkeypatch.setattr(simulate.copies, "_MOST_TRIES", 2)
    for seed in range(4):
        drawn = simulate.draw(head, motion=2, contrast=1, noise=1, seed=seed, sight=sight)
        again = simulate.with_strengths(head, drawn.strengths, seed=seed, sight=sight)
        # Strengths are kept with four decimals.
        assert again.severity == pytest.approx(drawn.severity, abs=0.01)


@pytest.mark.parametrize("wrong_by", [0.25, 3.0])
def test_a_first_guess_that_is_far_off_is_mended(head, sight, monkeypatch, wrong_by):
    right = grades.first_guess
    monkeypatch.setattr(grades, "first_guess", lambda name, severity: min(1.0, wrong_by * right(name, severity)))
    copies = [simulate.draw(head, noise=1, seed=seed, sight=sight) for seed in range(4)]
    assert [copy.grades["noise"] for copy in copies] == [1] * 4
    assert max(copy.n_tries for copy in copies) > 1


def test_the_voxels_stay_usable(another):
    copy = simulate.draw(another, gadolinium=True, motion=1, contrast=2, noise=1, seed=0)
    assert copy.head.data.dtype == np.float32
    assert np.isfinite(copy.head.data).all()
    assert copy.head.data.min() >= 0


def test_what_is_no_grade_strength_or_artefact_is_refused(head):
    with pytest.raises(UsageError, match="noise must be 0, 1 or 2, got 3"):
        simulate.draw(head, noise=3, seed=0)
    with pytest.raises(UsageError, match=r"strength of noise must be from 0 to 1, got 1\.5"):
        simulate.with_strengths(head, {"noise": 1.5}, seed=0)
    with pytest.raises(UsageError, match="an artefact is one of gadolinium, mixing"):
        simulate.with_strengths(head, {"banana": 0.5}, seed=0)


class TestPlant:
    def test_says_what_was_asked_and_what_is_there(self, head, sight):
        asked = {"straight_reject": False, "kind": None, "gadolinium": True, "motion": 1, "contrast": 0, "noise": 2}
        image, truth = simulate.plant(head, asked, seed=3, sight=sight)
        assert truth["planted"] == asked
        assert list(truth["asked"]) == ["gadolinium", "motion", "contrast", "noise"]
        scale = grades.scales()["motion"]
        assert scale.visible <= truth["severity"]["motion"] < scale.severe
        assert image.data.shape != head.data.shape or not np.array_equal(image.data, head.data)

    def test_a_straight_reject_has_surroundings_too(self, head, monkeypatch):
        calls = []
        monkeypatch.setattr(simulate.copies, "surrounded", lambda head, seed: calls.append(seed) or head)
        monkeypatch.setattr(simulate.copies, "straight_reject", lambda head, kind, seed: head)
        for kind in simulate.KINDS:
            asked = {"straight_reject": True, "kind": kind, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
            _, truth = simulate.plant(head, asked, seed=8)
            assert truth == {"planted": asked}
        assert calls == [8] * len(simulate.KINDS)


def test_the_scales_leave_room_between_the_grades():
    for scale in grades.scales().values():
        (_, good), (some, much), (severe, _) = scale.draws
        assert good < scale.visible < some
        assert much < scale.severe < severe
        assert [scale.grade(value) for value in (0, good, some, much, severe)] == [0, 0, 1, 1, 2]


def test_every_artefact_has_a_curve_and_every_grade_can_be_reached():
    assert set(grades.curves()) == {name for _, name in GRADED}
    for characteristic, scale in grades.scales().items():
        highest = max(grades.curves()[name].max() for name in simulate.ARTEFACTS[characteristic])
        assert highest > scale.draws[2][0]


def test_an_artefact_that_cannot_show_a_grade_is_not_drawn_for_it():
    scale = grades.scales()["motion"]
    assert [scale.can_draw("wrap_around", grade) for grade in (0, 1, 2)] == [False, True, False]
    assert [scale.can_draw("abrupt", grade) for grade in (0, 1, 2)] == [True, True, True]
    assert not grades.scales()["contrast"].can_draw("thick_slices", 2)


def test_a_first_guess_lies_on_the_curve():
    strength = grades.first_guess("noise", 0.3)
    assert np.interp(strength, grades.strengths(), grades.curves()["noise"]) == pytest.approx(0.3, abs=1e-3)
    assert grades.first_guess("noise", 99) == 1
    with pytest.raises(UsageError, match="banana"):
        grades.first_guess("banana", 0.1)
