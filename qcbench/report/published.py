"""The numbers of Bottani et al. 2022, Medical Image Analysis 75:102219, to be put beside those of a study."""

from __future__ import annotations

#: Table 3: weighted kappa of the two raters; the paper does not say which weights.
AGREEMENT = {"straight_reject": 0.88, "gadolinium": 0.89, "contrast": 0.79, "motion": 0.68, "noise": 0.70}

#: Figure 4 and Table S1: images by class and gadolinium.
TABLE_S1 = {
    ("SR", "not noted"): 1455,
    ("tier 1", "with"): 358,
    ("tier 1", "without"): 515,
    ("tier 2", "with"): 812,
    ("tier 2", "without"): 721,
    ("tier 3", "with"): 1246,
    ("tier 3", "without"): 393,
}

_TASKS = ("sr", "gadolinium", "tier3", "tier2")
#: Table 5, mean over five folds in percent. Its F1 is weighted by support, and its AUC, of hard decisions, is the BA.
_TABLE_5 = {
    "balanced_accuracy": (93.76, 97.14, 83.51, 71.65),
    "f1_weighted": (94.85, 97.04, 84.07, 74.10),
    "mcc": (85.71, 94.00, 67.38, 42.10),
    "sensitivity": (91.83, 96.45, 79.88, 77.39),
    "specificity": (95.69, 97.82, 87.14, 65.92),
    "ppv": (86.44, 98.33, 81.93, 83.20),
    "npv": (97.51, 95.39, 85.83, 57.78),
}

#: Tables 5 and 6 in percent, by architecture, task and metric.
METRICS = {
    **{
        ("annotators", task, "balanced_accuracy"): value
        for task, value in zip(_TASKS, (97.13, 96.10, 91.56, 88.27), strict=True)
    },
    **{
        ("conv5_fc3", task, metric): value
        for metric, values in _TABLE_5.items()
        for task, value in zip(_TASKS, values, strict=True)
    },
    ("inception3d", "tier3", "balanced_accuracy"): 82.41,
    ("inception3d", "tier2", "balanced_accuracy"): 69.28,
    ("resnet3d", "tier3", "balanced_accuracy"): 85.82,
    ("resnet3d", "tier2", "balanced_accuracy"): 68.08,
}
