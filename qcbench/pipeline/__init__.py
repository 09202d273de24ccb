"""The table of contents: one short function a stage, in the data's order.

Each is a verb of the command line and a function of ``qcbench``; each takes a study (or its
folder), does only what is missing, and returns a Summary. The rooms are imported inside, so that
a verb loads only what it needs, and a missing extra is named with its install command.
"""

from qcbench.pipeline.intake import attributes, check_identity, ingest, preprocess, sample, simulate, where
from qcbench.pipeline.labelling import (
    agreement,
    consensus,
    coordinate,
    exemplar,
    export_labels,
    import_labels,
    label,
    preview,
    review,
    serve,
    write_config,
)
from qcbench.pipeline.measuring import iqm, iqm_distributions, iqm_of_files, iqm_outliers
from qcbench.pipeline.modelling import evaluate, learning_curve, leave_one_out, predict, report, split, train
from qcbench.pipeline.records import (
    records_decide,
    records_diff,
    records_import,
    records_page,
    records_proposals,
    records_push,
    records_query,
    records_revoke,
    records_serve,
    records_snapshot,
    records_token,
)
from qcbench.pipeline.whole import (
    demo,
    demo_dicom,
    demo_study,
    demo_warehouse,
    doctor,
    init,
    label_simulated,
    planted_faults,
    table,
)

__all__ = [
    "agreement",
    "attributes",
    "check_identity",
    "consensus",
    "coordinate",
    "demo",
    "demo_dicom",
    "demo_study",
    "demo_warehouse",
    "doctor",
    "evaluate",
    "exemplar",
    "export_labels",
    "import_labels",
    "ingest",
    "init",
    "iqm",
    "iqm_distributions",
    "iqm_of_files",
    "iqm_outliers",
    "label",
    "label_simulated",
    "learning_curve",
    "leave_one_out",
    "planted_faults",
    "predict",
    "preprocess",
    "preview",
    "records_decide",
    "records_diff",
    "records_import",
    "records_page",
    "records_proposals",
    "records_push",
    "records_query",
    "records_revoke",
    "records_serve",
    "records_snapshot",
    "records_token",
    "report",
    "review",
    "sample",
    "serve",
    "simulate",
    "split",
    "table",
    "train",
    "where",
    "write_config",
]
