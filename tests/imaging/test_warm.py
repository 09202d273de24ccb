import subprocess
import sys

#: As a study's stages come: a pool of processes first, then native code in forks of the warmed server.
AFTER_A_POOL = """
from qcbench import parallel
from qcbench.imaging import isolate
from tests.imaging.test_warm import number_of_loaded_templates

with parallel.local_executor(2) as executor:
    list(parallel.map_rows(dict, [{"image_id": "a"}, {"image_id": "b"}], executor))
isolate.preload("qcbench.imaging.warm")
print(isolate.call(number_of_loaded_templates))
"""


def number_of_loaded_templates():
    from qcbench.imaging import template

    return template.load.cache_info().currsize


def test_an_isolated_process_has_the_template_from_the_start():
    result = subprocess.run([sys.executable, "-c", AFTER_A_POOL], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "1", result.stderr
