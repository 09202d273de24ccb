import pandas as pd

from qcbench.report import figures

COUNTS = pd.DataFrame(
    {
        "task": ["sr", "sr"],
        "series": ["conv5_fc3"] * 2,
        "fold": [0, 1],
        "true_positives": [8, 9],
        "false_negatives": [2, 1],
        "false_positives": [4, 4],
        "true_negatives": [36, 36],
    }
)


def bins(task, *triples):
    return pd.DataFrame(
        [
            {
                "task": task,
                "series": "conv5_fc3",
                "lowest": lowest,
                "predictions": n,
                "mean_probability": lowest + 0.05,
                "positive": positive,
            }
            for lowest, n, positive in triples
        ]
    )


def test_a_bin_with_few_predictions_has_a_pale_mark():
    (upper, lower) = figures.reliability_diagrams(bins("sr", (0.1, 4, 0.0), (0.6, 30, 0.5), (0.9, 0, None))).axes
    marks = {
        line.get_markerfacecolor(): list(line.get_xdata()) for line in upper.lines if line.get_linestyle() == "None"
    }
    assert [round(x) for x in marks.pop("white")] == [15]
    assert [[round(x) for x in xs] for xs in marks.values()] == [[65]]
    assert [bar.get_height() for bar in lower.patches] == [4, 30]


def test_counts_below_a_diagram_are_plain_numbers():
    (_, lower) = figures.reliability_diagrams(bins("sr", (0.1, 4000, 0.1))).axes
    assert [label.get_text() for label in lower.get_yticklabels()] == ["0", "10", "100", "1,000"]


def test_a_matrix_gives_mean_range_and_share_of_each_truth():
    (axes,) = (each for each in figures.confusion_matrices(COUNTS).axes if each.texts)
    assert [text.get_text() for text in axes.texts] == ["8.5\n8 to 9\n85%", "1.5\n1 to 2\n15%", "4\n10%", "36\n90%"]
