from qcbench.report import methods
from qcbench.report.inputs import read_tables


def test_the_paragraph_has_the_counts_of_the_study(filled_once):
    text = methods.paragraph(filled_once, read_tables(filled_once))
    for words in (
        "The catalogue held 12 images of 11 participants.",
        "2 were left out",
        "8 images were preprocessed with the preset fast and aligned to MNI152 (sha256 ffffffffffff); 1 image failed.",
        "2 raters, blind to each other's labels",
        "6 images reached a consensus: SR 1, tier 1 2, tier 2 1, tier 3 2.",
        "straight reject 0.59",
        "2 images were kept apart as test set and 4 divided into 2 folds",
        "checked: no participant is in two sets",
        "annotators 97.0%, conv5_fc3 94.0 ± 3.2%, forest_25 74.0 ± 3.2%",
    ):
        assert words in text, words
    assert "Simulated" not in text


def test_what_was_not_done_is_said(study):
    text = methods.paragraph(study, read_tables(study))
    for words in ("No image is in the catalogue", "No image is labelled", "not computed", "not split", "No network"):
        assert words in text


def test_simulated_data_are_called_so_first(filled, simulate):
    simulate(filled)
    assert methods.paragraph(filled, read_tables(filled)).startswith("Simulated images or labels are among these data")


def test_the_checklist_says_what_is_done_and_what_only_the_authors_know(filled_once):
    table = methods.checklist(filled_once, read_tables(filled_once)).set_index("Item")
    assert table.loc["sizes, level, leak"].tolist()[1:] == [
        "yes",
        "by participant, cv 4, test 2 images, 0 participants in two sets",
    ]
    assert table.loc["unseen hospitals", "State"] == "not done"
    assert table.loc["calibration", "State"] == "not done"  # no prediction is of a test image
    assert table.loc["experience of raters", "State"] == "authors"


def test_an_empty_study_has_done_nothing_but_a_protocol(study):
    table = methods.checklist(study, read_tables(study))
    assert set(table.loc[table["State"] == "yes", "Item"]) == {"simulated data", "definition of labels", "software"}
