"""What a process has spent: processor time, and instructions of user space by callgrind where there is valgrind."""
import argparse
import os
import re

TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")


def valgrind(folder):
    """The words before a command whose instructions are to be counted."""
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind", f"--log-file={folder}/valgrind"]


def cpu_us(process):
    """Of all its threads, so far."""
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def instructions(folder):
    """Of what ran behind valgrind(folder), and has ended; 0 where nothing did."""
    path = os.path.join(folder, "valgrind")
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as f:
        return int(re.search(r"Collected : (\d+)", f.read()).group(1))


def main(section):
    """A part of the scorecard by itself."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    print("\n".join(section(parser.parse_args().rounds)))
    return 0
