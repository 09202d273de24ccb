"""How long `import qcbench` takes beside importing pandas, which a labelling kernel does not need."""

import statistics
import subprocess
import sys
import time


def _seconds(statement):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def measure():
    bare = statistics.median(_seconds("pass") for _ in range(5))
    ours = statistics.median(_seconds("import qcbench") for _ in range(5)) - bare
    theirs = statistics.median(_seconds("import pandas") for _ in range(5)) - bare
    yield "import", "seconds, median of 5, the interpreter's own start taken off", max(ours, 1e-4), theirs, "pandas"
