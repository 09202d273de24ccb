"""write, fsync, rename, fsync of the folder, and only then the acknowledgement leaves."""

import os
import re
import shutil
import stat
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from qcbench.widgets.labeller import Labeller
from tests.faults.kernel import ANSWERS

SAVED = ["write segment", "flush segment", "rename segment", "flush folder", "acknowledge"]


def in_order(calls):
    """Return the calls that concern a segment, its folder and the acknowledgement, repeats in one."""
    return [call for number, call in enumerate(calls) if number == 0 or calls[number - 1] != call]


class Calls(list):
    """What this process asked of the disk and sent to the page, in order; `answer` is the last answer."""

    answer = None


def is_segment(path):
    return "seg-" in Path(path).name and "parquet" in Path(path).name


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()
    write, fsync, replace = os.write, os.fsync, os.replace

    def watched_write(descriptor, content):
        if is_segment(os.readlink(f"/proc/self/fd/{descriptor}")):
            calls.append("write segment")
        return write(descriptor, content)

    def watched_fsync(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        fsync(descriptor)  # it counts when it has returned
        if is_segment(path):
            calls.append("flush segment")
        elif stat.S_ISDIR(os.fstat(descriptor).st_mode) and list(Path(path).glob("seg-*.parquet")):
            calls.append("flush folder")

    def watched_replace(source, target, **options):
        if is_segment(source):
            calls.append("rename segment")
        return replace(source, target, **options)

    def watched_send(self, content, buffers=None):
        if content["kind"] == "ack":
            calls.append("acknowledge")
        calls.answer = content

    monkeypatch.setattr(os, "write", watched_write)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(Labeller, "send", watched_send)
    return calls


def test_a_label_is_acknowledged_after_the_last_flush(make_study, calls):
    widget = Labeller(make_study(3), rater="alice")
    widget._on_message(None, {"kind": "hello"}, [])
    for position in range(3):
        widget._on_message(None, {"kind": "goto", "position": position, "missing": [position]}, [])
        key = calls.answer["key"]
        calls.clear()
        widget._on_message(None, {"kind": "painted", "key": key}, [])
        label = {"kind": "label", "key": key, "event_id": str(uuid.uuid4()), "replaces": None, "answers": ANSWERS}
        widget._on_message(None, label, [])
        assert in_order(calls) == SAVED


def test_a_failed_flush_is_never_followed_by_an_acknowledgement(make_study, calls, monkeypatch):
    widget = Labeller(make_study(1), rater="alice")
    widget._on_message(None, {"kind": "hello"}, [])
    widget._on_message(None, {"kind": "goto", "position": 0, "missing": [0]}, [])
    key = calls.answer["key"]
    widget._on_message(None, {"kind": "painted", "key": key}, [])
    label = {"kind": "label", "key": key, "event_id": str(uuid.uuid4()), "replaces": None, "answers": ANSWERS}
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        widget._on_message(None, label, [])
    assert (calls.answer["kind"], calls.answer["retry"]) == ("nack", True)
    assert "acknowledge" not in calls
    widget._on_message(None, label, [])
    assert calls.answer["kind"] == "ack"


def completed(trace):
    """Return the calls of a trace in the order in which they ended, but a sending when it began."""
    begun, ended = {}, []
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>")
            if call.startswith(("send", "write")):
                ended.append(call)
        elif resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            whole = begun.pop(thread, "") + resumed[1]
            if not whole.startswith(("send", "write")):
                ended.append(whole)
        else:
            ended.append(call)
    return ended


def kind_of(call, event_id):
    """Return what a traced call is in the words of SAVED; None for the others."""
    if call.startswith(("write(", "sendto(", "sendmsg(")) and event_id in call and '\\"ack\\"' in call:
        return "acknowledge"
    if call.startswith("write(") and ".seg-000000.parquet" in call:
        return "write segment"
    if call.startswith("fsync("):
        return "flush segment" if ".seg-000000.parquet" in call else "flush folder"
    if call.startswith("rename") and "seg-000000.parquet" in call:
        return "rename segment"
    return None


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace; the same order is asserted in-process above")
def test_the_operating_system_sees_the_same_order(page, tmp_path):
    assert page.label()["kind"] == "ack"  # the folders are there: what follows is what every label does
    trace = tmp_path / "trace"
    calls = "write,fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg"
    command = [
        "strace",
        "-f",
        "-y",
        "-s",
        "100000",
        "-o",
        trace,
        "-e",
        f"trace={calls}",
        "-p",
        str(page.kernel.process.pid),
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    first = tracer.stderr.readline()
    if "attached" not in first:
        tracer.communicate()
        pytest.skip(f"strace may not look at a process here: {first.strip()}")
    answer = page.label()
    assert answer["kind"] == "ack"
    until = time.monotonic() + 10
    while '\\"ack\\"' not in trace.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    tracer.terminate()
    tracer.communicate()
    kinds = [kind_of(call, answer["event_id"]) for call in completed(trace.read_text())]
    assert in_order([kind for kind in kinds if kind])[:5] == SAVED
