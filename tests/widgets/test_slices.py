import pandas as pd
import pytest

from qcbench import images, store
from qcbench.errors import StudyError
from qcbench.widgets.slices import Slices


@pytest.fixture
def with_pictures(study):
    import numpy as np

    rows = []
    for number in range(3):
        path = study.derivatives / f"{number}.png"
        images.save_png(path, np.full((4, 6), 40 * number, np.uint8))
        rows.append(
            {
                "image_id": f"sub-{number}_T1w",
                "preprocessing_preset": "fast",
                "screenshot_path": study.relative(path),
                "alignment": 0.5,
            }
        )
    store.write(study, "preprocessed", rows)
    return study


def shown(widget):
    return [content["image_id"] for content, _ in widget.receive({"kind": "hello"})]


def test_a_column_of_a_table_says_which_images_are_shown(with_pictures):
    assert shown(Slices(with_pictures, pd.Series(["sub-2_T1w", "sub-0_T1w"]))) == ["sub-2_T1w", "sub-0_T1w"]


def test_an_empty_selection_shows_nothing_and_none_shows_the_first(with_pictures):
    assert shown(Slices(with_pictures, [])) == []
    assert shown(Slices(with_pictures, most=2)) == ["sub-0_T1w", "sub-1_T1w"]


def test_the_picture_travels_as_a_buffer_with_its_caption(with_pictures):
    ((content, buffer), *_) = Slices(with_pictures).receive({"kind": "hello"})
    assert content["detail"] == "alignment 0.50"
    assert buffer.startswith(b"\x89PNG")


def test_an_image_without_a_picture_is_refused(with_pictures):
    with pytest.raises(StudyError, match="qcbench preprocess"):
        Slices(with_pictures, ["sub-9_T1w"])
