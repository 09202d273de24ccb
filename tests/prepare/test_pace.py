import pytest

from qcbench import machine, store
from qcbench.errors import UsageError
from qcbench.imaging import isolate
from qcbench.prepare import pace


def row(number, seconds, preset="fast", error=None):
    return {
        "image_id": f"sub-{number}_T1w",
        "preprocessing_preset": preset,
        "cpu_seconds": seconds,
        "error": error,
    }


def test_recorded_images_of_the_preset_tell_the_pace():
    rows = [row(number, seconds) for number, seconds in enumerate((4.0, 5.0, 6.0, 7.0, 60.0))]
    others = [row(7, 1.0, preset="slices"), row(8, 1.0, error="TRUNCATED"), row(9, None)]
    known = pace.recorded(rows + others, "fast", 2)
    assert (known.cpu_seconds, known.images_per_hour, known.measured_on) == (6.0, 1200, "5 images of this study")


def test_a_few_recorded_images_tell_nothing():
    assert pace.recorded([row(number, 5.0) for number in range(4)], "fast", 2) is None


def test_the_doctor_is_told_in_words(study, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    monkeypatch.setattr(machine, "available_memory_gb", lambda: 64.0)
    store.write(study, "preprocessed", [row(number, 4.0) for number in range(5)])
    (finding,) = pace.examine(study)
    assert (finding.name, finding.state) == ("images per hour", "ok")
    assert finding.found.startswith("about 3,600 with preset fast, 4 at a time (4.0 CPU-seconds each")


def test_too_little_memory_is_a_warning(study, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    monkeypatch.setattr(machine, "available_memory_gb", lambda: 2.0)
    store.write(study, "preprocessed", [row(number, 4.0) for number in range(5)])
    (finding,) = pace.examine(study)
    assert finding.state == "warning"
    assert "about 1,800" in finding.found and "2 images at a time instead of 4" in finding.found


def test_without_recorded_images_a_head_is_timed_in_a_process_of_its_own(study, monkeypatch):
    asked = []

    def call(function, *arguments, **limits):
        asked.append((function, limits))
        return 9.0

    monkeypatch.setattr(isolate, "call", call)
    (finding,) = pace.examine(study)
    assert "measured on one synthetic head" in finding.found
    assert asked == [(pace._cpu_seconds, {"timeout_s": 600.0, "memory_gb": 10.0})]


@pytest.mark.slow
def test_a_synthetic_head_takes_cpu_seconds_and_leaves_nothing_behind():
    assert 0.5 < pace.timed("fast", 2).cpu_seconds < 300


def test_an_unknown_preset_is_bad_use(study):
    with pytest.raises(UsageError, match="there is no preset 'paper'"):
        pace.examine(study, preset="paper")
