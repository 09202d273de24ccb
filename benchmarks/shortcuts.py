"""Can anything tell a copy from its source, and how much do 25 global numbers tell of the grades?

    python -m benchmarks.shortcuts STUDY [--synthetic N]

STUDY holds preprocessed good scans and, for the second table, copies of them made by `simulate` at
2 mm. Prints two tables; nothing is written. Heads in the test part are never in the training part.

The copies of the first table went through one artefact of each family at a strength of a thousandth, where
nothing is to be seen, so the code that makes artefacts has run on them; their sources went past it. A copy and its
source have the same surroundings. This finds what the making of copies leaves behind, resampling above all; it does not
ask what tells one class of copies from another, which is the second table. As a control the same classifiers are
shown sources that were interpolated once more, which they must find.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from qcbench import images, store
from qcbench.imaging import crop, heads, simulate
from qcbench.learn.tabular import global_numbers
from qcbench.prepare import pool
from qcbench.study import Study

SPACING = 4
DRAWS = 3
FOLDS = 4


def as_bytes(head: heads.Head, template_to_scanner: np.ndarray) -> np.ndarray:
    """Return a head as the networks get it at 4 mm."""
    volume, _ = crop.to_int16(crop.to_canonical(head.data, head.affine, template_to_scanner))
    return np.rint(255 * crop.block_average(crop.min_max(volume), SPACING)).astype(np.uint8)


def sources(study: Study, n_synthetic: int) -> list[heads.Head]:
    """Return the study's scans as heads, and some of people who do not exist."""
    catalogue = {row["image_id"]: row for row in store.rows(study, "images") if row["bids_path"]}
    aligned = [row for row in store.rows(study, "preprocessed") if row["image_id"] in catalogue and not row["error"]]
    real = [pool.source_head(study, catalogue[row["image_id"]], row) for row in aligned]
    return real + [heads.synthetic_head(seed=1000 + number) for number in range(n_synthetic)]


def passed_through(head: heads.Head, seed: int) -> heads.Head:
    """Return a copy that every family of artefacts has handled, at a strength that shows nothing."""
    rng = np.random.default_rng(seed)
    strengths = {
        str(rng.choice(list(family))): 0.001 for name, family in simulate.ARTEFACTS.items() if name != "gadolinium"
    }
    copy = simulate.with_strengths(head, strengths, seed=seed)
    assert max(copy.severity.values()) < 0.01, copy.severity
    return copy.head


def interpolated(head: heads.Head, seed: int) -> heads.Head:
    """Return the head after one linear interpolation more, half a voxel away."""
    shifted = ndimage.shift(head.data, 0.5, order=1, mode="nearest")
    affine = head.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 0.5)
    return replace(head, data=shifted, affine=affine)


def volumes_of(people: list[heads.Head], change: Callable, *, first_seed: int) -> list:
    """Return (volume, person) of every draw."""
    made = []
    for person, head in enumerate(people):
        for draw in range(DRAWS):
            seed = first_seed + 1000 * person + draw
            changed = change(head, seed)
            made.append((as_bytes(simulate.surrounded(changed, seed=seed), head.template_to_scanner), person))
    return made


def forest(train: list, labels: np.ndarray, test: list) -> np.ndarray:
    """Return a forest's probabilities on 25 global numbers."""
    model = RandomForestClassifier(300, class_weight="balanced", random_state=0)
    model.fit([global_numbers(volume) for volume in train], labels)
    return model.predict_proba([global_numbers(volume) for volume in test])[:, 1]


def small_network(train: list, labels: np.ndarray, test: list, epochs: int = 15) -> np.ndarray:
    """Return the probabilities of a network of 60,000 parameters, trained afresh."""
    torch.manual_seed(0)
    layers, before = [], 1
    for channels in (8, 16, 32, 64):
        layers += [torch.nn.Conv3d(before, channels, 3, padding=1), torch.nn.BatchNorm3d(channels), torch.nn.ReLU()]
        layers += [torch.nn.MaxPool3d(2)] if channels < 64 else []
        before = channels
    model = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(64, 2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    inputs, wanted = tensor(train), torch.from_numpy(labels).long()
    weights = 1 / torch.bincount(wanted, minlength=2).float()
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * -(-len(inputs) // 16))
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(16):
            loss = torch.nn.functional.cross_entropy(model(inputs[batch]), wanted[batch], weight=weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(part) for part in tensor(test).split(16)]).softmax(1)[:, 1].numpy()


def tensor(volumes: list) -> torch.Tensor:
    """Return volumes of bytes as (n, 1, x, y, z) in [0, 1]."""
    return torch.from_numpy(np.stack(volumes)).float().div_(255)[:, None]


def cross_validated(first: list, second: list, classifier: Callable) -> tuple[float, float]:
    """Return balanced accuracy over all heads, each predicted unseen, and its 95% half width over heads."""
    volumes = [volume for volume, _ in first + second]
    people = np.array([person for _, person in first + second])
    labels = np.array([0] * len(first) + [1] * len(second))
    found = np.zeros(len(labels))
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(volumes, labels, people):
        found[test] = classifier([volumes[i] for i in train], labels[train], [volumes[i] for i in test])
    decided = found >= 0.5
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(500):
        chosen = np.concatenate([np.flatnonzero(people == p) for p in rng.choice(np.unique(people), people.max() + 1)])
        if len(np.unique(labels[chosen])) == 2:
            draws.append(balanced_accuracy_score(labels[chosen], decided[chosen]))
    return balanced_accuracy_score(labels, decided), 1.96 * float(np.std(draws))


def table_of_copies(study: Study, n_synthetic: int) -> None:
    """Print how well originals and copies are told apart."""
    people = sources(study, n_synthetic)
    untouched = volumes_of(people, lambda head, seed: head, first_seed=10_000_000)
    bare = [(as_bytes(head, head.template_to_scanner), person) for person, head in enumerate(people)]
    copies = volumes_of(people, passed_through, first_seed=10_000_000)
    questions = {
        "copies against sources, the same surroundings": (untouched, copies),
        "copies against bare sources": (bare, copies),
        "control: sources interpolated once more against sources": (
            untouched,
            volumes_of(people, interpolated, first_seed=10_000_000),
        ),
    }
    print(f"{len(people)} heads ({n_synthetic} synthetic), {DRAWS} draws each; balanced accuracy, unseen heads")
    for question, (first, second) in questions.items():
        for name, classifier in (("forest on 25 numbers", forest), ("small network", small_network)):
            accuracy, width = cross_validated(first, second, classifier)
            print(f"  {question:58s} {name:22s} {100 * accuracy:5.1f} +- {100 * width:.1f}", flush=True)


def table_of_tasks(study: Study) -> None:
    """Print the forest's balanced accuracy on the copies of a study, heads unseen."""
    planted = {
        row["image_id"]: (json.loads(row["simulation"])["planted"], row["participant_id"])
        for row in store.rows(study, "images")
        if row["simulation"] and row["bids_path"] is None
    }
    paths = {row["image_id"]: row["volume_path"] for row in store.rows(study, "preprocessed")}
    if not planted:
        print("no copies in the study: qcbench simulate STUDY --from all --spacing 2 makes them")
        return
    people = sorted({person for _, person in planted.values()})
    rows = []
    for name, (truth, person) in planted.items():
        volume = crop.from_coarse_int16(images.load_volume(study.absolute(paths[name])).data)
        rows.append((np.rint(255 * crop.block_average(volume, 2)).astype(np.uint8), people.index(person), truth))
    good = [row for row in rows if not row[2]["straight_reject"]]
    tiers = {1: [], 2: [], 3: []}
    for row in good:
        tiers[1 + max(row[2][name] for name in ("motion", "contrast", "noise"))].append(row)
    tasks = {
        "sr": (good, [row for row in rows if row[2]["straight_reject"]]),
        "gadolinium": tuple([row for row in good if row[2]["gadolinium"] is yes] for yes in (False, True)),
        "tier3": (tiers[1] + tiers[2], tiers[3]),
        "tier2": (tiers[1], tiers[2]),
    }
    for name in ("motion", "contrast", "noise"):
        clean = [r for r in good if all(r[2][other] == 0 for other in ("motion", "contrast", "noise") if other != name)]
        tasks[f"{name} 1 against 0, nothing else"] = tuple([r for r in clean if r[2][name] == g] for g in (0, 1))
        tasks[f"{name} 1 against 0"] = tuple([r for r in good if r[2][name] == g] for g in (0, 1))
    print(f"{len(rows)} simulated copies of {len(people)} heads; forest on 25 numbers, heads unseen")
    for task, (no, yes) in tasks.items():
        accuracy, width = cross_validated([r[:2] for r in no], [r[:2] for r in yes], forest)
        print(
            f"  {task:40s} n {len(no):4d} + {len(yes):4d}   BA {100 * accuracy:5.1f} +- {100 * width:.1f}", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--synthetic", type=int, default=32, help="heads; below 0 leaves the first table out")
    options = parser.parse_args()
    if options.synthetic >= 0:
        table_of_copies(Study(options.study), options.synthetic)
    table_of_tasks(Study(options.study))
