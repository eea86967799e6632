"""A signal that asks to stop is heard, wherever in its waiting it meets the main thread."""

import subprocess
import sys

WAITER = """
import os, signal, threading
from integrations.kafka.stopping import on_stop

lock, heard = threading.Lock(), threading.Event()

def stop():
    with lock:
        heard.set()

on_stop(stop)
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
heard.wait()
"""


def test_a_signal_inside_the_lock_that_stopping_takes_hangs_nobody() -> None:
    subprocess.run([sys.executable, "-c", WAITER], timeout=20, check=True)
