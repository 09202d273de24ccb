"""Loads the template at import, for the server from which native processes are forked.

Each of them then has the template from the start (two CPU-seconds an image). Nothing of ITK runs
here: its threads would not survive the fork.
"""

from qcbench.imaging import register

register.load_fixed(register.RegisterOptions())
