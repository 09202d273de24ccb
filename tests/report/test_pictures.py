import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from qcbench import images
from qcbench.report.pictures import Picture, choose_examples, read_picture, to_jpeg


def candidates(*pairs):
    return pd.DataFrame(pairs, columns=["image_id", "participant_id"])


def test_examples_are_of_different_participants_where_there_are_as_many():
    chosen = choose_examples(candidates(*[(f"a{n}", "a") for n in range(9)], ("b", "b"), ("c", "c")), n=3)
    assert sorted(chosen["participant_id"]) == ["a", "b", "c"]


def test_the_order_of_the_rows_does_not_change_the_choice():
    rows = candidates(*[(f"i{n}", f"p{n % 4}") for n in range(12)])
    assert choose_examples(rows, n=5)["image_id"].tolist() == choose_examples(rows[::-1], n=5)["image_id"].tolist()


def test_fewer_images_than_asked_are_all_shown():
    assert len(choose_examples(candidates(("a", "p"), ("b", "p")), n=3)) == 2


def test_a_large_screenshot_is_shrunk_and_keeps_its_proportions(study):
    images.save_png(study.folder / "x.png", np.full((300, 1200), 90, np.uint8))
    picture = read_picture(study, {"image_id": "x", "screenshot_path": "x.png"}, longest_px=400)
    assert picture.grey.shape == (100, 400)
    assert picture.grey[50, 200] == 90


def test_a_small_screenshot_is_not_enlarged(study):
    images.save_png(study.folder / "x.png", np.zeros((30, 60), np.uint8))
    assert read_picture(study, {"image_id": "x", "screenshot_path": "x.png"}).grey.shape == (30, 60)


@pytest.mark.parametrize("path", [None, "absent.png", "../outside.png", "text.png", "cut.png"])
def test_a_screenshot_that_cannot_be_read_is_a_picture_with_an_error(study, path):
    (study.folder / "text.png").write_text("no picture")
    whole = study.folder / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:600])
    picture = read_picture(study, {"image_id": "x", "screenshot_path": path})
    assert picture.grey is None
    assert picture.error


def test_a_picture_for_a_page_is_a_small_jpeg_of_the_same_size():
    grey = np.tile(np.arange(0, 240, dtype=np.uint8), (80, 1))
    content = to_jpeg(Picture(image_id="a", caption="a", grey=grey))
    with Image.open(io.BytesIO(content)) as again:
        assert (again.format, again.size) == ("JPEG", (240, 80))
        assert abs(np.asarray(again).astype(int) - grey).max() < 12
    assert len(content) < grey.size / 2
