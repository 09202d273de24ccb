import ctypes
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from qcbench.learn.memory import kept_for_the_next_step

BLOCK_BYTES = 64 * 2**20
libc = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(not hasattr(libc, "gnu_get_libc_version"), reason="needs glibc")


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def use_and_free():
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    block = libc.malloc(BLOCK_BYTES)
    ctypes.memset(block, 1, BLOCK_BYTES)
    libc.free(block)


def stays_and_goes():
    before = resident_bytes()
    use_and_free()
    assert resident_bytes() - before < BLOCK_BYTES / 2
    with kept_for_the_next_step():
        with kept_for_the_next_step():
            use_and_free()
        assert resident_bytes() - before > BLOCK_BYTES / 2
    assert resident_bytes() - before < BLOCK_BYTES / 2
    use_and_free()
    assert resident_bytes() - before < BLOCK_BYTES / 2


def test_freed_memory_stays_while_it_lasts_and_goes_afterwards():
    # In a process of its own: the heap of one that has run other tests has holes that this block may fill.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        alone.submit(stays_and_goes).result(timeout=300)
