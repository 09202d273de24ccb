"""Artefacts of known severity on a head, as an examination would have left them.

`draw` makes a copy of given grades, `with_strengths` one of given strengths, `straight_reject`
an image that is no T1w MRI of a whole brain; `surrounded` comes last, for every image alike, and
`plant` does all of it. An artefact is graded by what is seen of it (`severity`), by a table that
is part of the package (grades.toml). At strength 0 every artefact returns the very same voxels, so
an untouched copy differs from its source by its surroundings alone.
"""

from qcbench.imaging.simulate.copies import ARTEFACTS, Copy, draw, plant, with_strengths
from qcbench.imaging.simulate.rejects import KINDS, straight_reject
from qcbench.imaging.simulate.severity import Sight
from qcbench.imaging.simulate.surroundings import surrounded

__all__ = ["ARTEFACTS", "KINDS", "Copy", "Sight", "draw", "plant", "straight_reject", "surrounded", "with_strengths"]
