"""docs/clients.md says what test_waiting_clients.py has just seen."""
import os
import subprocess
import warnings

import pytest
from asking import ROOT
from cases import CASES
from outcomes import OUTCOMES, read_outcomes


def test_the_table_of_the_documents_is_what_was_seen():
    if {case.name for case in CASES} - set(read_outcomes()["outcomes"]):
        pytest.skip(f"{os.path.relpath(OUTCOMES, ROOT)} has not every case: not all of tests/clients was run")
    done = subprocess.run([os.path.join(ROOT, "scripts", "clients-table"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if done.stdout:
        warnings.warn(done.stdout)
