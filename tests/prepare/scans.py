"""Small T2w and bold scans in the catalogue of a study: a block of noise on black, nothing to be aligned."""

import numpy as np

from qcbench import images, store

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


def block(seed, shape=(40, 44, 30)):
    """Return int16 voxels: a bright block of noise in the middle."""
    data = np.zeros(shape, np.int16)
    inside = tuple(slice(size // 5, size - size // 5) for size in shape[:3])
    data[inside] = np.random.default_rng(seed).integers(300, 900, data[inside].shape)
    return data


def catalogue(study, scans, affine=AFFINE):
    """Write the raw images of `scans` (image_id -> voxels, or bytes of a damaged file) and their catalogue."""
    rows = []
    for image_id, content in scans.items():
        path = study.bids / image_id.split("_")[0] / "anat" / f"{image_id}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            images.save_volume(path, content, affine)
        rows.append(
            {
                "image_id": image_id,
                "participant_id": image_id.split("_")[0],
                "source_path": f"scanner/{image_id}",
                "bids_path": study.relative(path),
                "modality": image_id.rpartition("_")[2],
                "voxels_sha256": f"of {image_id}",
                "simulated": True,
            }
        )
    store.write(study, "images", rows)
