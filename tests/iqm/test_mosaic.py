import numpy as np
import pytest

from qcbench.iqm import mosaic


def picture(panels, name):
    return next(panel for panel in panels if panel.name == name).picture


def test_every_part_of_a_head_is_shown(makers, head):
    panels = mosaic.of_anatomy(makers.anatomy(head, spacing_mm=(2.0, 2.0, 2.0)))
    assert [panel.name for panel in panels] == ["image", "brain", "tissues", "head", "air"]
    assert len({panel.picture.shape for panel in panels}) == 1
    assert all(panel.picture.dtype == np.uint8 for panel in panels)
    assert mosaic.stacked(panels).shape[0] == sum(panel.picture.shape[0] + 4 for panel in panels)


def test_a_pixel_is_a_millimetre_whatever_the_voxels_are(makers, head):
    (first, *_) = mosaic.of_anatomy(makers.anatomy(head, spacing_mm=(1.0, 2.0, 3.0)))
    # 30 x 34 x 32 voxels: sagittal 68, coronal 30 and three axial slices of 30 wide, 96 or 68 high.
    assert first.picture.shape == (96, 68 + 30 + 3 * 30 + 5 * 4)


def test_what_is_marked_lies_where_the_mask_lies(makers, head):
    head["artefact"] = np.zeros_like(head["hat"])
    head["hat"][3:8, :, 24:] = True
    head["artefact"][3:8, :, 24:] = True
    panels = mosaic.of_anatomy(makers.anatomy(head), "neurological")
    coronal = picture(panels, "air")[:, 34 + 4 : 34 + 4 + 30]
    assert (coronal[0:8, 3:8] == 255).all()
    turned = mosaic.of_anatomy(makers.anatomy(head), "radiological")
    assert (picture(turned, "air")[0:8, 34 + 4 + 22 : 34 + 4 + 27] == 255).all()


def test_white_matter_is_white_and_fluid_is_dark(makers, head):
    tissues = picture(mosaic.of_anatomy(makers.anatomy(head)), "tissues")
    axial = tissues[:34, 34 + 4 + 30 + 4 + 34 : 34 + 4 + 30 + 4 + 34 + 30]
    assert axial[17, 15] > 200 and axial[0, 0] == 0


def test_a_mask_that_failed_is_a_reason_and_no_picture(makers, head):
    failed = makers.anatomy(head, brain=None, failures={"brain": "the brain has 3 voxels"})
    panels = mosaic.of_anatomy(failed)
    assert picture(panels, "brain") is None
    assert next(panel.caption for panel in panels if panel.name == "brain").endswith("none, the brain has 3 voxels")
    assert picture(panels, "image") is not None


def test_a_series_shows_its_mean_masks_and_steadiness(makers, series):
    panels = mosaic.of_run(makers.run(series))
    assert [panel.name for panel in panels] == ["mean", "brain", "air", "tsnr"]
    assert all(panel.picture is not None for panel in panels)


def test_a_field_without_air_says_so(makers, series):
    panels = mosaic.of_run(makers.run(series, air=None, failures={"air": "no air is in the field of view"}))
    assert picture(panels, "air") is None and picture(panels, "brain") is not None
    assert "no air is in the field" in panels[2].caption


def test_a_dark_image_is_drawn_all_the_same(makers, head):
    head["raw"][:] = 0
    panels = mosaic.of_anatomy(makers.anatomy(head))
    assert picture(panels, "image").max() == 0


def test_an_unknown_convention_is_refused(makers, head):
    with pytest.raises(ValueError, match="a convention is one of"):
        mosaic.of_anatomy(makers.anatomy(head), "surgical")
