import numpy as np

from qcbench.report import figures
from qcbench.report.inputs import read_tables


def test_each_fold_is_a_mark_and_the_annotators_a_line(filled_once):
    (axes,) = figures.fold_dots(read_tables(filled_once).metrics).axes
    marks = {tuple(np.round(line.get_xdata(), 1)) for line in axes.lines if line.get_marker() in ("o", "D")}
    assert marks == {(90, 92, 94, 96, 98), (70, 72, 74, 76, 78)}
    assert [text.get_text() for text in axes.texts] == ["annotators 97.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv5_fc3", "forest_25"]
