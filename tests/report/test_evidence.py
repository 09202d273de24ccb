from qcbench.report.evidence import metrics
from qcbench.report.inputs import read_tables


def test_tasks_that_are_not_evaluated_are_named(filled_once):
    section = metrics(filled_once, read_tables(filled_once))
    assert "Not evaluated yet: gadolinium, tier3, tier2 (qcbench evaluate STUDY)." in section.paragraphs
