import pandas as pd

from qcbench.report import page
from qcbench.report.blocks import TableBlock


def test_a_long_table_is_cut_on_the_page_and_whole_in_the_csv():
    block = TableBlock(name="x", caption="x", frame=pd.DataFrame({"n": range(70)}))
    shown = page.grid(block)
    assert (len(shown["rows"]), shown["left_out"]) == (60, 10)


def test_numbers_are_flush_right_and_words_left():
    frame = pd.DataFrame(
        {"a": [1200, None], "b": ["0.59 [0.10, 1.00]", None], "c": ["1.5 T scanner", "x"], "d": [0.12345, 2]}
    )
    block = TableBlock(name="x", caption="x", frame=frame.astype({"a": "Int64"}), formats={"d": ".2f"})
    shown = page.grid(block)
    assert shown["headings"] == [("a", "number"), ("b", "number"), ("c", "text"), ("d", "number")]
    assert [text for text, _ in shown["rows"][0]] == ["1,200", "0.59 [0.10, 1.00]", "1.5 T scanner", "0.12"]
    assert shown["rows"][1][0] == ("", "number")
