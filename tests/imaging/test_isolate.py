import ctypes
import os
import time

import numpy as np
import pytest

from qcbench import images
from qcbench.errors import ImageError, MissingExtraError, WorkerError
from qcbench.imaging import isolate


def raise_an_error_that_pickle_cannot_rebuild():
    raise MissingExtraError("ants", "prepare")


def test_the_result_comes_back():
    assert isolate.call(divmod, 17, 5) == (3, 2)


def test_the_work_is_done_in_another_process():
    assert isolate.call(os.getpid) != os.getpid()


def test_a_segmentation_fault_is_an_error_with_its_signal():
    with pytest.raises(WorkerError, match="SIGSEGV"):
        isolate.call(ctypes.string_at, 0)


def test_an_abort_in_native_code_is_an_error():
    with pytest.raises(WorkerError, match="SIGABRT"):
        isolate.call(os.abort)


def test_a_process_that_leaves_without_a_word_is_an_error():
    with pytest.raises(WorkerError, match="exit status 3"):
        isolate.call(os._exit, 3)


def test_a_hang_is_stopped_in_time():
    began = time.monotonic()
    with pytest.raises(WorkerError, match="longer than 1 s"):
        isolate.call(time.sleep, 60, timeout_s=1)
    assert time.monotonic() - began < 10


def test_more_memory_than_allowed_is_an_error():
    with pytest.raises(WorkerError, match="more than 1 GB"):
        isolate.call(np.ones, 2**30, memory_gb=1)


def test_an_error_on_purpose_comes_back_as_itself(tmp_path):
    with pytest.raises(ImageError) as caught:
        isolate.call(images.load_volume, tmp_path / "missing.nii")
    assert caught.value.code == "NOT_A_FILE"


def test_any_other_exception_says_its_name():
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        isolate.call(divmod, 1, 0)


def test_an_error_that_cannot_be_rebuilt_keeps_its_message():
    with pytest.raises(WorkerError, match=r"pip install 'qcbench\[prepare\]'"):
        isolate.call(raise_an_error_that_pickle_cannot_rebuild)


def test_the_next_call_after_a_crash_works():
    with pytest.raises(WorkerError):
        isolate.call(ctypes.string_at, 0)
    assert isolate.call(len, "abc") == 3
