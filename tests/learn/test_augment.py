import torch

from qcbench.learn.augment import augmented


def cube():
    """One bright block left of the middle, in a dim head."""
    volume = torch.zeros(1, 1, 40, 50, 45)
    volume[:, :, 8:32, 10:40, 10:35] = 0.4
    volume[:, :, 10:14, 20:30, 15:30] = 0.8
    return volume


def seen(seed, volume=None):
    torch.manual_seed(seed)
    return augmented(cube() if volume is None else volume)


def test_a_volume_is_mirrored_moved_and_of_other_brightness_and_nothing_else():
    sides = set()
    for seed in range(12):
        found = seen(seed)
        # Still three flat greys with sharp borders: nothing was blurred, and nothing is noisy.
        assert len(found.unique()) == 3
        places = [(found == found.max()).nonzero()[:, axis].float() for axis in (2, 3, 4)]
        assert [len(place.unique()) for place in places] == [4, 10, 15]
        centre = [float(place.mean()) for place in places]
        is_mirrored = centre[0] > 20
        assert abs(centre[0] - (27.5 if is_mirrored else 11.5)) <= 1
        assert abs(centre[1] - 24.5) <= 2
        assert abs(centre[2] - 22) <= 1
        sides.add(is_mirrored)
    assert sides == {True, False}


def test_brightness_stays_within_what_scanners_do():
    for seed in range(20):
        found = seen(seed)
        dim, bright = found[found > 0].min(), found.max()
        assert 0.9 * 0.8**1.15 - 1e-3 <= bright <= 1.1 * 0.8**0.869 + 1e-3
        assert 1.7 < bright / dim < 2.3
        assert found.min() >= 0
        assert found.max() <= 1


def test_what_is_given_stays_as_it_was_and_the_same_chance_gives_the_same():
    volume = cube()
    first = seen(3, volume)
    assert torch.equal(volume, cube())
    assert torch.equal(first, seen(3))
    assert not torch.equal(first, seen(4))
