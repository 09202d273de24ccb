"""qcbench: which brain MRIs of a hospital's data warehouse can be trusted.

    import qcbench as qc
    study = qc.Study("my-study")
    qc.preprocess(study)

Everything below is imported on first use, so that ``import qcbench`` costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Study": "qcbench.study",
    "JobMonitor": "qcbench.widgets.job_monitor",
    "Report": "qcbench.report.cells",
    "Labeller": "qcbench.widgets.labeller",
    "AttributeMarks": "qcbench.widgets.attributes",
    "Job": "qcbench.jobs",
    "jobs": "qcbench.jobs",
    "Coordinator": "qcbench.widgets.coordinator",
    "RecordsPage": "qcbench.widgets.records_page",
    "IqmExplorer": "qcbench.widgets.iqm_explorer",
    "Review": "qcbench.widgets.review",
    "Slices": "qcbench.widgets.slices",
    "WhatIf": "qcbench.widgets.whatif",
    **dict.fromkeys(
        (
            "init",
            "attributes",
            "ingest",
            "check_identity",
            "where",
            "preprocess",
            "simulate",
            "sample",
            "label",
            "preview",
            "serve",
            "write_config",
            "exemplar",
            "review",
            "coordinate",
            "doctor",
            "import_labels",
            "export_labels",
            "agreement",
            "consensus",
            "split",
            "train",
            "learning_curve",
            "leave_one_out",
            "evaluate",
            "predict",
            "iqm",
            "iqm_of_files",
            "iqm_distributions",
            "iqm_outliers",
            "report",
            "records_token",
            "records_revoke",
            "records_serve",
            "records_import",
            "records_push",
            "records_proposals",
            "records_decide",
            "records_page",
            "records_snapshot",
            "records_diff",
            "records_query",
            "demo",
            "demo_dicom",
            "demo_study",
            "demo_warehouse",
            "label_simulated",
            "table",
        ),
        "qcbench.pipeline",
    ),
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"qcbench has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
