import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from integrations.embedded.child import PROJECT_ROOT

LONG_LIFE = ["/bin/sleep", "600"]

PARENT = """
import signal, subprocess, sys
from integrations.embedded import leash
{command}
subprocess.Popen(command, cwd={root!r})
signal.pause()
"""

FORKING = """
import os, signal, sys
from pathlib import Path
for depth in (1, 2):
    if os.fork():
        break
Path(sys.argv[1], str(os.getpid())).touch()
signal.pause()
"""


def _parent(*, command: str, folder: Path) -> subprocess.Popen[bytes]:
    code = PARENT.format(command=command, root=str(PROJECT_ROOT))
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=PROJECT_ROOT)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_a_program_dies_with_its_killed_parent(
    state_dir: Path, wait_for: Callable[..., None], processes_of: Callable[[Path], dict[int, str]]
) -> None:
    shell = "['/bin/sh', '-c', 'while :; do /bin/sleep 0.1; done', sys.argv[1]]"
    parent = _parent(command=f"command = leash.command_line(program={shell}, death_signal=9)", folder=state_dir)
    wait_for(lambda: len(processes_of(state_dir)) == 2, what="the program runs")

    _end(parent)

    wait_for(lambda: not processes_of(state_dir), what="the program died")


def test_forks_of_forks_die_too(
    state_dir: Path, wait_for: Callable[..., None], processes_of: Callable[[Path], dict[int, str]]
) -> None:
    script = state_dir / "forking.py"
    script.write_text(FORKING)
    target = f"[{str(script)!r}, sys.argv[1]]"
    parent = _parent(command=f"command = leash.python_command_line(target={target}, death_signal=9)", folder=state_dir)
    wait_for(lambda: len([pid for pid in state_dir.iterdir() if pid.name.isdecimal()]) == 3, what="three generations")
    assert len(processes_of(state_dir)) == 4

    _end(parent)

    wait_for(lambda: not processes_of(state_dir), what="all generations died")


def test_a_program_whose_parent_is_gone_already_does_not_run(state_dir: Path) -> None:
    nobody = "999999999"
    command = [sys.executable, "-I", "-S", "integrations/embedded/leash.py", nobody, "9", "", "--", *LONG_LIFE]

    status = subprocess.run(command, cwd=PROJECT_ROOT, check=False, timeout=90).returncode

    assert status == -signal.SIGKILL
