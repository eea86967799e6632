"""A process that counts a view as often as its argument says, says so, and stays until its input ends.

Run by test_processes, several at once with one folder of metrics.
"""

import sys

import django

django.setup()

from shop.kernel.processes import serve_metrics
from shop.kernel.views import recorded

if __name__ == "__main__":
    recorded.labels("Lamp Looked At").inc(int(sys.argv[1]))
    serve_metrics()
    sys.stdout.write("counted\n")
    sys.stdout.flush()
    sys.stdin.read()
