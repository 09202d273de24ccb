import pytest

from qcbench import machine

_16_GB = "MemTotal: 33554432 kB\nMemAvailable:   16777216 kB\n"


@pytest.fixture
def meminfo(tmp_path):
    path = tmp_path / "meminfo"
    path.write_text(_16_GB)
    return path


def test_what_the_machine_has_counts_where_nothing_limits_it(meminfo, tmp_path):
    assert machine.available_memory_gb(meminfo, tmp_path) == 16.0


@pytest.mark.parametrize(
    ("limit", "used"),
    [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")],
)
def test_a_container_that_allows_less_counts(meminfo, tmp_path, limit, used):
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text(f"{6 * 2**30}\n")
    (tmp_path / used).write_text(f"{2 * 2**30}\n")
    assert machine.available_memory_gb(meminfo, tmp_path) == 4.0


def test_files_that_were_only_read_take_no_memory(meminfo, tmp_path):
    (tmp_path / "memory.max").write_text(f"{8 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{7 * 2**30}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {6 * 2**30}\nactive_file 9\n")
    assert machine.available_memory_gb(meminfo, tmp_path) == 7.0


def test_a_cgroup_without_a_limit_limits_nothing(meminfo, tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1\n")
    assert machine.available_memory_gb(meminfo, tmp_path) == 16.0


def test_a_system_that_does_not_say_is_not_guessed(tmp_path):
    assert machine.available_memory_gb(tmp_path / "none", tmp_path) is None
    assert machine.workers_that_fit(8, each_gb=7.0, available_gb=None) == (8, "")


def test_one_worker_is_left_and_warned_of_where_not_even_one_fits():
    assert machine.workers_that_fit(3, each_gb=7.0, available_gb=2.0) == (
        1,
        "1 image at a time instead of 3: each takes up to 7 GB, and 2 GB are free",
    )
    assert machine.workers_that_fit(1, each_gb=7.0, available_gb=2.0)[1].startswith("even one image at a time may not")


def test_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: {0, 5, 7}, raising=False)
    assert machine.usable_cores() == 3
