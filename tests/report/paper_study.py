"""A study of 5,500 labelled images with the margins of Bottani et al. 2022, every table filled, in a few seconds.

Two invented raters, networks that err about as often as the published ones, and screenshots drawn by numpy: its numbers
say nothing about real scans, so everything in it is marked simulated.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np

from qcbench import images, schema, store
from qcbench.learn.metrics import metrics_from_probabilities
from qcbench.study import Study

#: Tier, gadolinium: images with grade 0, 1, 2 of contrast, motion and noise (Table S1).
MARGINS = {
    (1, True): ((358, 0, 0), (358, 0, 0), (358, 0, 0)),
    (1, False): ((515, 0, 0), (515, 0, 0), (515, 0, 0)),
    (2, True): ((342, 470, 0), (409, 403, 0), (431, 381, 0)),
    (2, False): ((237, 484, 0), (441, 280, 0), (445, 276, 0)),
    (3, True): ((40, 56, 1150), (451, 425, 370), (683, 549, 14)),
    (3, False): ((27, 43, 323), (147, 86, 160), (271, 120, 2)),
}
N_REJECTED, N_TEST, N_FOLDS = 1455, 500, 5
N_HOSPITALS = 39
#: Images of each scanner: the published sums of manufacturers and of field strengths (Table 1), models invented.
SCANNERS = (
    ("Siemens", "Avanto", 1.5, 740),
    ("Siemens", "Aera", 1.5, 560),
    ("Siemens", "Skyra", 3.0, 1500),
    ("Siemens", "Prisma", 3.0, 952),
    ("GE", "Signa HDxt", 1.5, 966),
    ("GE", "Discovery MR750", 3.0, 744),
    ("Philips", "Ingenia", 3.0, 33),
    ("Toshiba", "Titan", 1.5, 5),
)
#: Images of each class whose age and sex are known (Table 4; the 117 printed for tier 2 is a slip for 1,117).
WITH_DEMOGRAPHICS = {None: 1132, 1: 702, 2: 1117, 3: 1323}
#: Of images with and without gadolinium, how many have words of it in their DICOM description.
WITH_DICOM_WORDS = {True: 2033, False: 987}
#: How far the probabilities of each network lie from a coin toss, by task.
SKILL = {
    ("sr", "conv5_fc3"): 3.4,
    ("gadolinium", "conv5_fc3"): 4.0,
    ("tier3", "conv5_fc3"): 2.0,
    ("tier2", "conv5_fc3"): 1.15,
    ("tier3", "inception3d"): 1.9,
    ("tier3", "resnet3d"): 2.15,
    ("tier2", "inception3d"): 1.0,
    ("tier2", "resnet3d"): 0.95,
}
ANNOTATORS = {"sr": 0.9713, "gadolinium": 0.9610, "tier3": 0.9156, "tier2": 0.8827}
KAPPAS = {"straight_reject": 0.88, "gadolinium": 0.89, "contrast": 0.79, "motion": 0.68, "noise": 0.70}
PROTOCOL = {"protocol": "t1w-warehouse", "protocol_sha256": "0" * 64, "version": "0.1.0"}


def paper_study(folder) -> Study:
    """Make the study in a new folder and return it."""
    study = Study.create(folder, raters=["alice", "bob"])
    random = np.random.default_rng(0)
    grades = consensus_grades(random)
    ids = [f"sub-{number // 4 * 3 + number % 4 % 3:05d}_run-{number}_T1w" for number in range(len(grades))]
    write_images(study, ids, grades, random)
    write_labels(study, ids, grades, random)
    write_consensus(study, ids, grades)
    sets = write_splits(study, ids, random)
    write_results(study, ids, grades, sets, random)
    return study


def consensus_grades(random) -> list[dict]:
    """Return the noted values of each image, in an arbitrary order; a straight reject has none but that."""
    rows = [{"straight_reject": True, **dict.fromkeys(("gadolinium", *schema.GRADED, "tier"))}] * N_REJECTED
    for (tier, gadolinium), (contrast, motion, noise) in MARGINS.items():
        columns = [np.repeat((0, 1, 2), counts) for counts in (contrast, motion, noise)]
        # Contrast from low to high and motion from high to low, so that each image has its tier's grade somewhere.
        columns[1], columns[2] = columns[1][::-1], random.permutation(columns[2])
        for first, second, third in zip(*columns, strict=True):
            noted = {"contrast": int(first), "motion": int(second), "noise": int(third)}
            rows.append({"straight_reject": False, "gadolinium": gadolinium, **noted, "tier": tier})
    return [dict(rows[place]) for place in random.permutation(len(rows))]


def write_images(study, ids, grades, random) -> None:
    """Fill the catalogue and the preprocessed images: those labelled, and some that never got so far."""
    pictures = [save_screenshot(study, number, random) for number in range(16)]
    labelled = np.repeat(np.arange(len(SCANNERS)), [n for *_, n in SCANNERS])
    scanners = np.concatenate([random.permutation(labelled), random.choice(labelled, 800)])
    known = first_of_each([noted["tier"] for noted in grades], WITH_DEMOGRAPHICS)
    described = first_of_each([noted["gadolinium"] for noted in grades], WITH_DICOM_WORDS)
    fates = [{}] * len(ids) + [{"excluded_reason": "fewer than 40 slices"}] * 310
    fates += [{"excluded_reason": "younger than 18 years"}] * 120 + [{"excluded_reason": "not the head"}] * 30
    fates += [{"error": "TRUNCATED: the file ends early"}] * 30 + [{"error": "NOT_NIFTI: no header"}] * 10
    fates += [{"lost": True}] * 60 + [{"waits": True}] * 240
    catalogue, done = [], []
    for number, fate in enumerate(fates):
        image_id = ids[number] if number < len(ids) else f"sub-x{number:05d}_T1w"
        maker, model, field, _ = SCANNERS[scanners[number]]
        catalogue.append(
            {
                "image_id": image_id,
                "participant_id": image_id.split("_")[0],
                "source_path": f"in/{image_id}.nii.gz",
                "manufacturer": maker,
                "model_name": model,
                "field_strength_t": field,
                "hospital": f"hospital {number % N_HOSPITALS + 1}",
                "age_years": float(random.integers(18, 95)) if number in known else None,
                "sex": "FM"[number % 2] if number in known else None,
                "dicom_gadolinium": number in described,
                "simulated": True,
                **{name: words for name, words in fate.items() if name in ("excluded_reason", "error")},
            }
        )
        if "error" in fate or "excluded_reason" in fate:
            continue
        row = {"image_id": image_id, "preprocessing_preset": "paper-2022", "template": "MNI152NLin2009cSym"}
        if "lost" in fate:
            done.append({**row, "error": "WorkerError: killed after 600 s" if number % 3 else "CRASHED: no affine"})
        else:
            screenshot = pictures[number % len(pictures)]
            alignment, seconds = float(random.beta(30, 4)), float(random.gamma(9, 1.2))
            done.append({**row, "screenshot_path": screenshot, "alignment": alignment, "seconds": seconds})
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", [{**row, "template_sha256": "f" * 64} for row in done])


def first_of_each(values, wanted) -> set[int]:
    """Return the places of the first so many of each value."""
    return {place for value, n in wanted.items() for place in [p for p, v in enumerate(values) if v == value][:n]}


def save_screenshot(study, number, random) -> str:
    """Draw three slices of a head-like ellipse with grain, 624 x 208; return the path as tables hold it."""
    rows, columns = np.mgrid[-1:1:208j, -1:1:208j]
    panels = []
    for width, height in ((0.86, 0.74), (0.68, 0.72), (0.7, 0.88)):
        radius = np.hypot(columns / width, rows / height)
        grey = np.where(radius < 1, 90.0, 0.0)
        grey[radius < 0.88] = 150 + 20 * np.sin(9 * np.arctan2(rows, columns) + number)[radius < 0.88]
        grey[np.hypot((np.abs(columns) - 0.14) / 0.1, rows / 0.3) < 1] = 40
        panels.append(grey + random.normal(0, 4 + 2 * (number % 5), grey.shape) * (radius < 1.05))
    path = study.derivatives / "screenshots" / f"{number}.png"
    images.save_png(path, np.clip(np.hstack(panels), 0, 255).astype(np.uint8))
    return study.relative(path)


def write_labels(study, ids, grades, random) -> None:
    """Have two raters label every image: one as the consensus, the other seeing less of an artefact now and then."""
    started = datetime(2026, 1, 5, 8, tzinfo=UTC)
    for place, rater in enumerate(("alice", "bob")):
        seconds = random.gamma(4, 3.5, len(ids)) * (1 + 0.2 * place)
        events = []
        for number, (image_id, noted) in enumerate(zip(ids, grades, strict=True)):
            seen = {name: noted[name] for name in schema.CHARACTERISTICS}
            if not seen["straight_reject"] and number % 2 == place:
                seen |= {name: max(seen[name] - int(random.random() < 0.3), 0) for name in schema.GRADED}
            events.append(
                {
                    "event_id": f"{rater}-{number}",
                    "rater": rater,
                    "source": "simulated",
                    "session": "s",
                    "sequence": number,
                    "image_id": image_id,
                    "purpose": "label",
                    **seen,
                    "comment": "skull cut off" if number % 400 == 0 else None,
                    "seconds": float(seconds[number]),
                    "saved_at": started + timedelta(minutes=number),
                    **PROTOCOL,
                }
            )
        store.SegmentLog(study.label_folder(rater) / "s", "label_events").extend(events)


def write_consensus(study, ids, grades) -> None:
    """Write the consensus with the published margins, and the published agreement."""
    rows = []
    for number, (image_id, noted) in enumerate(zip(ids, grades, strict=True)):
        by_review = noted["straight_reject"] and number % 11 == 0
        about = {"decided_by": "review" if by_review else "raters", "stale": False, "simulated": True}
        rows.append({"image_id": image_id, **noted, **about, "label_event_ids": [f"alice-{number}", f"bob-{number}"]})
    store.write(study, "consensus", rows)
    agreed = []
    for raters, n in (("alice,bob", 5500), ("alice,alice", 275), ("bob,bob", 275)):
        for name, value in KAPPAS.items():
            statistic = "kappa_linear" if name in schema.GRADED else "kappa"
            own = min(value + 0.05 * (raters != "alice,bob"), 1.0)
            found = {"value": own, "low": own - 0.02, "high": min(own + 0.02, 1.0)}
            agreed.append({"characteristic": name, "statistic": statistic, "raters": raters, "n": n, **found})
    store.write(study, "agreement", agreed)


def write_splits(study, ids, random) -> dict[str, tuple[str, int | None]]:
    """Split by participant; return the set and the fold of each image."""
    people = {image_id: image_id.split("_")[0] for image_id in ids}
    order = random.permutation(sorted(set(people.values())))
    place, n_test = {}, 0
    for number, person in enumerate(order):
        place[person] = ("test", None) if n_test < N_TEST else ("cv", number % N_FOLDS)
        n_test += sum(1 for image_id in ids if people[image_id] == person) if n_test < N_TEST else 0
    sets = {image_id: place[people[image_id]] for image_id in ids}
    rows = [
        {"image_id": image_id, "participant_id": people[image_id], "set": name, "fold": fold, "seed": 0}
        for image_id, (name, fold) in sets.items()
    ]
    store.write(study, "splits", rows)
    return sets


def truth_of(task, noted) -> bool | None:
    """Return whether an image is positive in a task; None where the task is not about it."""
    if task == "sr":
        return noted["straight_reject"]
    if noted["straight_reject"] or (task == "tier2" and noted["tier"] == 3):
        return None
    return noted["gadolinium"] if task == "gadolinium" else noted["tier"] == int(task[-1])


def write_results(study, ids, grades, sets, random) -> None:
    """Write predictions of five folds a network on the test set, and what was made from them."""
    predictions, metrics = [], []
    for (task, architecture), skill in SKILL.items():
        truth = {i: truth_of(task, noted) for i, noted in zip(ids, grades, strict=True)}
        run = {"task": task, "architecture": architecture, "run_id": f"{task}-{architecture}-paper-2022"}
        wanted = [i for i in ids if sets[i][0] == "test"]
        hardness = random.normal(0, 0.8, len(wanted))
        for fold in range(N_FOLDS):
            sides = np.array([{True: 1, False: -1, None: 0}[truth[i]] for i in wanted])
            logits = skill * sides + hardness * 1.3 + random.normal(0, 1.0, len(wanted))
            chances = 1 / (1 + np.exp(-1.4 * logits))
            for i, chance in zip(wanted, chances, strict=True):
                about = {"image_id": i, "fold": fold, "preprocessing_preset": "paper-2022"}
                predictions.append({**run, **about, "probability": float(chance)})
            tested = [n for n, i in enumerate(wanted) if sets[i][0] == "test" and truth[i] is not None]
            values = metrics_from_probabilities(
                np.array([truth[wanted[n]] for n in tested], dtype=int), chances[tested]
            )
            about = {"training_preset": "paper-2022", "fold": fold, "set": "test", "n": len(tested), "simulated": True}
            metrics += [{**run, **about, "metric": name, "value": value} for name, value in values.items()]
        write_architecture(study, run["run_id"])
    for task, value in ANNOTATORS.items():
        about = {"task": task, "architecture": "annotators", "run_id": "annotators", "fold": None, "set": "test"}
        metrics.append({**about, "metric": "balanced_accuracy", "value": value, "n": 500, "simulated": True})
    store.write(study, "predictions", predictions)
    store.write(study, "metrics", metrics)
    store.write(study, "learning_curve", learning_curve(random))


def learning_curve(random) -> list[dict]:
    """Return rows of the table `learning_curve` that rise towards the published balanced accuracies."""
    ends = {"sr": (0.80, 0.94), "gadolinium": (0.94, 0.972), "tier3": (0.66, 0.84), "tier2": (0.62, 0.72)}
    rows = []
    for task, (low, high) in ends.items():
        for size in (125, 250, 500, 1000, 2000, 4000):
            level = low + (high - low) * np.log(size / 125) / np.log(4000 / 125)
            rows += [
                {
                    "task": task,
                    "architecture": "conv5_fc3",
                    "training_preset": "paper-2022",
                    "spacing_mm": 1,
                    "seed": 0,
                    "n_asked": size,
                    "n_images": size + fold % 2,
                    "n_participants": int(size * 0.76),
                    "fold": fold,
                    "balanced_accuracy": float(level + random.normal(0, 0.015)),
                    "simulated": True,
                }
                for fold in range(N_FOLDS)
            ]
    return rows


def write_architecture(study, run_id) -> None:
    """Write the architecture.json of Conv5_FC3 for whole volumes, and a config.json, as a run of five folds has."""
    sizes, layers, entering = np.array((169, 208, 179)), [], 1
    for number, channels in enumerate((8, 16, 32, 64, 128)):
        shape = [channels, *map(int, sizes)]
        kinds = [("Conv3d", 27 * channels * entering + channels), ("BatchNorm3d", 2 * channels), ("ReLU", 0)]
        layers += [layer(f"convolutions.{number}.{place}", *kind, shape) for place, kind in enumerate(kinds)]
        sizes, entering = -(-sizes // 2), channels
        layers.append(layer(f"convolutions.{number}.3", "PadMaxPool3d", 0, [channels, *map(int, sizes)]))
    length = int(128 * np.prod(sizes))
    layers += [layer("classifier.0", "Flatten", 0, [length]), layer("classifier.1", "Dropout", 0, [length])]
    for number, leaving in enumerate((1300, 50, 2)):
        layers.append(layer(f"classifier.{2 + number}", "Linear", length * leaving + leaving, [leaving]))
        length = leaving
    n_parameters = sum(row["parameters"] for row in layers)
    document = {"name": "conv5_fc3", "shape": [169, 208, 179], "outputs": 2, "parameters": n_parameters}
    folder = study.runs / run_id
    folder.mkdir(parents=True)
    (folder / "architecture.json").write_text(json.dumps({**document, "layers": layers}))
    options = {"learning_rate": 1e-4, "batch_size": 2, "epochs": 50}
    (folder / "config.json").write_text(json.dumps({"seed": 0, "preset": "paper-2022", "options": options}))


def layer(name, kind, parameters, shape) -> dict:
    """Return one layer as architecture.json holds it."""
    return {"layer": name, "kind": kind, "output_shape": shape, "parameters": parameters}
