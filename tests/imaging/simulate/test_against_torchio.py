"""An independent check: what TorchIO's own transforms make worse, our measures call worse."""

import numpy as np
import pytest
import torch
import torchio as tio

from qcbench.imaging import simulate

# Parameters that TorchIO's documentation would call none, mild and strong; fixed, not drawn.
MOTION = [
    tio.Motion(
        degrees=size * np.array([[4.0, -3.0, 2.0], [-2.0, 3.0, -4.0]]),
        translation=size * np.array([[3.0, -2.0, 2.0], [-3.0, 2.0, 3.0]]),
        times=np.array([0.3, 0.47]),
        image_interpolation="linear",
    )
    for size in (0.1, 0.7, 2.0)
]
NOISE = [tio.Noise(mean=0, std=sd, seed=0) for sd in (0.005, 0.08, 0.25)]
BLUR = [tio.Blur(std=(sd, sd, sd)) for sd in (0.01, 2.0, 5.0)]
GHOSTS = [tio.Ghosting(num_ghosts=5, axis=1, intensity=size, restore=0.02) for size in (0.05, 0.7, 1.5)]


def transformed(head, transform):
    relative = torch.from_numpy(np.ascontiguousarray(head.data / head.levels[2]))[None]
    subject = tio.Subject(image=tio.ScalarImage(tensor=relative, affine=head.affine))
    return transform(subject).image.data[0].numpy().astype(np.float32) * np.float32(head.levels[2])


@pytest.mark.parametrize("which", ["head", "another"])
@pytest.mark.parametrize(
    ("measure", "transforms"),
    [
        ("dissimilarity", MOTION),
        ("dissimilarity", GHOSTS),
        ("noise_to_contrast", NOISE),
        ("contrast_lost", BLUR),
        ("sharpness_lost", BLUR),
    ],
)
def test_stronger_transforms_measure_worse(which, measure, transforms, request):
    head = request.getfixturevalue(which)
    sight = simulate.Sight(head)
    seen = [getattr(sight, measure)(sight.untouched, sight.cut(transformed(head, t))) for t in transforms]
    assert (np.diff(seen) > 0).all(), seen


@pytest.mark.parametrize(
    ("characteristic", "transforms"), [("motion", MOTION), ("motion", GHOSTS), ("noise", NOISE), ("contrast", BLUR)]
)
def test_their_grades_are_in_order(head, sight, characteristic, transforms):
    scale = simulate.grades.scales()[characteristic]
    measure = getattr(sight, scale.measure)
    given = [scale.grade(measure(sight.untouched, sight.cut(transformed(head, each)))) for each in transforms]
    assert given[0] == 0
    assert given == sorted(given)
    assert given[-1] >= 1
