#!/usr/bin/env python3
"""The floor under the cutout stage: the network's runs and nothing else.

    session_floor.py MODEL.onnx RUNS

As many sessions as there are cores, each of one thread that does not spin, share RUNS runs of random input. Prints the
wall seconds and CPU seconds of the runs, without opening the sessions. An axis that the model leaves open counts as 1.
"""
import os
import sys
import threading
import time

import numpy as np
import onnxruntime

model, runs = sys.argv[1], int(sys.argv[2])
cores = len(os.sched_getaffinity(0))


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


sessions = [session() for _ in range(min(cores, runs))]
entry = sessions[0].get_inputs()[0]
shape = [axis if isinstance(axis, int) else 1 for axis in entry.shape]
feed = {entry.name: np.random.default_rng(0).random(shape, dtype=np.float32)}


def work(own, count):
    for _ in range(count):
        own.run(None, feed)


for own in sessions:
    work(own, 1)
shares = [runs // len(sessions) + (at < runs % len(sessions)) for at in range(len(sessions))]
threads = [threading.Thread(target=work, args=pair) for pair in zip(sessions, shares)]
wall, cpu = time.perf_counter(), time.process_time()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{time.perf_counter() - wall:.3f} {time.process_time() - cpu:.3f}")
