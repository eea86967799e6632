"""Run one program that dies with its parent, even when the parent is killed with -9.

Linux sends a process a signal of its choice when the *thread* that forked it ends (PR_SET_PDEATHSIG). So whoever
starts a leashed program must do so from a thread that lives as long as the program should; the supervisor and the
test suite use their main thread.

There are two ways to call this file:

- `python -I -S leash.py PARENT_PID SIGNAL USER -- PROGRAM ARGS...` becomes the program (PostgreSQL, Redis);
- `python -m integrations.embedded.leash PARENT_PID SIGNAL -- MODULE_OR_SCRIPT ARGS...` runs Python code in this
  very interpreter and leashes every process that code forks later: Granian's workers and Celery's pool would survive
  otherwise.

A preexec_fn would do the same in less, but it runs Python between fork and exec, where another thread's lock can
hang it.
"""

import ctypes
import multiprocessing
import os
import pwd
import runpy
import signal
import sys
from collections.abc import Sequence

MODULE = "integrations.embedded.leash"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(*, parent_pid: int, death_signal: int) -> None:
    """Ask the kernel for `death_signal` when the parent ends, and end now if it already has."""
    if _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    # The parent may have died before the line above: then no signal will ever come.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def leash_forks() -> None:
    """Make every process forked from here on, at any depth, die with the process that forked it."""
    forking_pid = os.getpid()

    def remember_parent() -> None:
        nonlocal forking_pid
        forking_pid = os.getpid()

    def leash_child() -> None:
        die_with_parent(parent_pid=forking_pid, death_signal=signal.SIGKILL)

    os.register_at_fork(before=remember_parent, after_in_child=leash_child)
    # The hook above needs a fork; later Pythons prefer other ways to start a worker.
    multiprocessing.set_start_method("fork")


def become_user(*, name: str) -> None:
    """Give up root for the user called `name`, with no other group than the user's own."""
    entry = pwd.getpwnam(name)
    os.setgroups([entry.pw_gid])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def command_line(*, program: Sequence[str], death_signal: int, user: str = "") -> list[str]:
    """Return the command that becomes `program` (an absolute path and arguments), leashed to this process."""
    # Isolated and without site-packages: a bare interpreter starts in a few milliseconds.
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal)), user, "--", *program]


def python_command_line(*, target: Sequence[str], death_signal: int) -> list[str]:
    """Return the command that runs a module or script (and arguments), leashed with all its forks to this process."""
    return [sys.executable, "-m", MODULE, str(os.getpid()), str(int(death_signal)), "--", *target]


def run_python(*, target: str, arguments: Sequence[str]) -> None:
    """Run a module (`granian`) or a script (`manage.py`) as if Python had been called with it."""
    sys.argv = [target, *arguments]
    if target.endswith(".py"):
        runpy.run_path(target, run_name="__main__")
    else:
        runpy.run_module(target, run_name="__main__", alter_sys=True)


def main(arguments: Sequence[str]) -> None:
    """Leash this process, then become (with a user) or run (without) the program named after `--`."""
    split = arguments.index("--")
    parent_pid, death_signal, *user = arguments[:split]
    program, *program_arguments = arguments[split + 1 :]
    # Changing the user clears the request for a death signal, so it comes first.
    if user and user[0]:
        become_user(name=user[0])
    die_with_parent(parent_pid=int(parent_pid), death_signal=int(death_signal))
    if user:
        os.execv(program, [program, *program_arguments])  # noqa: S606  the whole purpose: become the program, no shell
    leash_forks()
    run_python(target=program, arguments=program_arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
