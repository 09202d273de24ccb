"""The figures of a report, all in one style: tables in, matplotlib Figures out, no global state, no pyplot."""

from qcbench.report.figures.curves import learning_curves
from qcbench.report.figures.decisions import confusion_matrices, reliability_diagrams
from qcbench.report.figures.flow import flow
from qcbench.report.figures.folds import fold_dots
from qcbench.report.figures.layers import architecture
from qcbench.report.figures.raters import rater_grades
from qcbench.report.figures.rings import nested_rings
from qcbench.report.figures.sheets import contact_sheet
from qcbench.report.figures.style import COLOURS, STYLE, to_png, to_svg

__all__ = [
    "COLOURS",
    "STYLE",
    "architecture",
    "confusion_matrices",
    "contact_sheet",
    "flow",
    "fold_dots",
    "learning_curves",
    "nested_rings",
    "rater_grades",
    "reliability_diagrams",
    "to_png",
    "to_svg",
]
