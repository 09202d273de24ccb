from matplotlib.patches import Rectangle

from qcbench.report import figures
from qcbench.report.figures.layers import stages

LAYERS = [
    {"layer": "0", "kind": "Conv3d", "output_shape": [8, 40, 50, 44], "parameters": 224},
    {"layer": "1", "kind": "Conv3d", "output_shape": [16, 40, 50, 44], "parameters": 3472},
    {"layer": "2", "kind": "MaxPool3d", "output_shape": [16, 20, 25, 22], "parameters": 0},
    {"layer": "3", "kind": "Flatten", "output_shape": [176000], "parameters": 0},
    {"layer": "4", "kind": "Linear", "output_shape": [2], "parameters": 352002},
]
DOCUMENT = {"name": "small", "shape": [40, 50, 44], "layers": LAYERS}


def test_layers_of_one_grid_are_one_stage_with_the_channels_of_the_last():
    assert [stage.shape for stage in stages(LAYERS)] == [(16, 40, 50, 44), (16, 20, 25, 22), (176000,), (2,)]


def test_each_stage_is_drawn_with_its_size_operations_and_parameters():
    (axes,) = figures.architecture(DOCUMENT).axes
    words = [text.get_text() for text in axes.texts]
    assert "16 channels\n40\u00d750\u00d744" in words
    assert {"2 \u00d7 convolution", "3,696 par.", "max pooling", "176,000", "352,002 par."} <= set(words)
    assert sum(isinstance(patch, Rectangle) for patch in axes.patches) == 5  # the volume and four stages


def test_a_larger_grid_is_a_higher_slab():
    (axes,) = figures.architecture(DOCUMENT).axes
    heights = [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert heights[0] == heights[1] > heights[2]
