#!/usr/bin/env python3
"""One command, measured: prints its wall seconds, CPU seconds of all its threads and children, and peak memory in MB.

    measure.py LOG COMMAND [ARGUMENT...]

What the command says goes to LOG. Exit codes 0 and 3 (done, but some items need a look) are good; any other one is passed
on, with the end of LOG. Must not know what is measured.
"""
import os
import resource
import subprocess
import sys
import time

log, *command = sys.argv[1:]
with open(log, "wb") as said:
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    _, status, _ = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
code = os.waitstatus_to_exitcode(status)
if code not in (0, 3):
    with open(log, errors="replace") as said:
        sys.stderr.write(said.read()[-2000:])
    sys.exit(f"{' '.join(command)}: exit {code}, see {log}")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{wall:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.1f}")
