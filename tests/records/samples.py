"""Records to send: made up, and those that MRIQC's own server is tested with."""

import copy
import json

from qcbench.iqm_keys import keys_of


def a_record(modality="T1w", **changes):
    """A plausible record; changes are of metrics, or of ``bids_meta`` and ``provenance``, entry by entry."""
    record = {key.name: 10 if key.dtype == "int64" else 1.0 for key in keys_of(modality)}
    record |= {"efc": 0.5, "snr_total": 8.0} if modality != "bold" else {"efc": 0.5, "spacing_tr": 2.0}
    record |= {name: 0.3 for name in record if name.startswith(("icvs", "tpm", "qi_", "aor"))}
    times = {"T1w": (0.003, 2.3), "T2w": (0.1, 3.2), "bold": (0.03, 2.0)}[modality]
    meta = {"modality": modality, "subject_id": "01", "EchoTime": times[0], "RepetitionTime": times[1]}
    record["bids_meta"] = meta | ({"TaskName": "rest"} if modality == "bold" else {})
    record["provenance"] = {"md5sum": "0" * 32, "version": "24.0.2", "software": "mriqc"}
    for name, value in changes.items():
        record[name] = record[name] | value if isinstance(value, dict) else value
    return copy.deepcopy(record)


def md5_of(number):
    return f"{number:032x}"


def fixtures(real_data, pattern):
    """The records and ratings that MRIQC's server is tested with, by their path."""
    folder = real_data / "mriqc" / "webapi_fixtures"
    return {str(path.relative_to(folder)): json.loads(path.read_text()) for path in sorted(folder.glob(pattern))}
