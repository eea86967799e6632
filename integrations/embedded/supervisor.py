"""Starts the whole stack in order, keeps it running, and stops it in order.

It is one thread and one loop; every process is started from it (see `leash` for why that matters).
"""

import shutil
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from integrations.embedded.backoff import Backoff
from integrations.embedded.child import POLL_SECONDS, Child
from integrations.embedded.processes import Ports, Process, child_environment, ready_file
from integrations.embedded.services import Service, Services
from integrations.embedded.signals import StopSignals, rest
from integrations.embedded.state import publish_environment
from integrations.embedded.terminal import LogFollower, Terminal

TICK_SECONDS = 0.05
PREPARATION_SECONDS = 300.0
START_SECONDS = 90.0
START_ATTEMPTS = 3


@dataclass(kw_only=True)
class Charge:
    """One process of the table in the supervisor's care."""

    process: Process
    child: Child
    follower: LogFollower
    is_up: bool = False
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(kw_only=True)
class Supervisor:
    """Runs services, then preparations, then the table of processes, until it is told to stop.

    With `is_quiet` the processes' logs stay in their files.
    """

    state_dir: Path
    chosen: Ports
    services: Services
    terminal: Terminal
    signals: StopSignals
    is_quiet: bool = False
    _charges: list[Charge] = field(default_factory=list, init=False)
    _service_backoffs: defaultdict[str, Backoff] = field(default_factory=lambda: defaultdict(Backoff), init=False)

    def start_services(self) -> None:
        """Start the three servers side by side; raise NotReady if one does not come up."""
        began_at = time.monotonic()
        self.services.start()
        self._publish()
        names = ", ".join(service.name for service in self.services.embedded) or "all given by address"
        self._report("services", since=began_at, remark=names)

    def prepare(self, *, commands: Sequence[tuple[str, ...]]) -> None:
        """Run each command to its end; raise NotReady with the end of its log if one fails."""
        for script, name, *options in commands:
            began_at = time.monotonic()
            child = self._child(name=name, command=(script, name, *options), environment={})
            child.start()
            status = child.wait(timeout_seconds=PREPARATION_SECONDS)
            if status != 0:
                raise child.not_ready(reason=f"failed with status {status}")
            self._report(name, since=began_at, remark="done")

    def start(self, *, table: Sequence[Process]) -> None:
        """Start all processes together and return once each is up; raise NotReady if one does not make it."""
        self._charges = [self._charge(process) for process in table]
        for charge in self._charges:
            _empty_metrics(charge.process)
            self._launch(charge)
        deadline = time.monotonic() + START_SECONDS
        while not all(charge.is_up for charge in self._charges):
            self._tick()
            for charge in self._charges:
                if charge.backoff.crash_count >= START_ATTEMPTS:
                    raise charge.child.not_ready(reason=f"ended {START_ATTEMPTS} times while it was started")
                if not charge.is_up and time.monotonic() > deadline:
                    raise charge.child.not_ready(reason=f"was not ready within {START_SECONDS:g} seconds")

    def watch(self) -> None:
        """Keep everything running until KeyboardInterrupt; raise NotReady if a service cannot be revived."""
        while True:
            self._tick()

    def stop(self) -> None:
        """Stop the processes step by step, then the services; a second signal hurries it."""
        self.signals.is_stopping = True
        running = [charge for charge in self._charges if charge.child.is_running]
        for step in sorted({charge.process.stop_step for charge in running}):
            self._stop_together([charge for charge in running if charge.process.stop_step == step])
        self.services.stop()
        for charge in self._charges:
            if folder := _remove_metrics(charge.process):
                # Refused while another process has figures beside it: the last one takes the folder along.
                with suppress(OSError):
                    folder.parent.rmdir()

    def _tick(self) -> None:
        now = time.monotonic()
        for service in self.services.embedded:
            self._tend_service(service, now=now)
        for charge in self._charges:
            self._tend(charge, now=now)
        self._show_logs()
        rest(TICK_SECONDS)

    def _tend(self, charge: Charge, *, now: float) -> None:
        if charge.backoff.restart_at is not None:
            if charge.backoff.is_due(now=now):
                self._launch(charge)
        elif not charge.child.is_running:
            pause_seconds = charge.backoff.note_crash(now=now)
            charge.is_up = False
            self._say_crash(charge.child, pause_seconds=pause_seconds)
        elif not charge.is_up and charge.process.is_ready():
            charge.is_up = True
            self._report(charge.process.name, since=charge.backoff.started_at)

    def _tend_service(self, service: Service, *, now: float) -> None:
        backoff = self._service_backoffs[service.name]
        if service.child is None or service.child.is_running:
            return
        if backoff.restart_at is None:
            self._say_crash(service.child, pause_seconds=backoff.note_crash(now=now))
        elif backoff.is_due(now=now):
            backoff.note_start(now=now)
            self._revive(service)

    def _revive(self, service: Service) -> None:
        began_at = time.monotonic()
        before = self.services.addresses
        service.start()
        self._report(service.name, since=began_at, remark="again")
        if self.services.addresses == before:
            return
        # The broker came back empty and elsewhere: its users have to learn the address and to send and read afresh.
        self._publish()
        affected = [charge for charge in self._charges if charge.process.uses_broker]
        self._stop_together(affected)
        # Asked to stop meanwhile, they are not started again.
        rest(0)
        for charge in affected:
            charge.child = self._charge(charge.process).child
            self._launch(charge)

    def _launch(self, charge: Charge) -> None:
        ready = ready_file(name=charge.process.name, state_dir=self.state_dir)
        ready.parent.mkdir(exist_ok=True)
        ready.unlink(missing_ok=True)
        charge.is_up = False
        charge.backoff.note_start(now=time.monotonic())
        charge.child.start()

    def _stop_together(self, charges: Sequence[Charge]) -> None:
        began_at = time.monotonic()
        for charge in charges:
            charge.child.ask_to_stop()
        for charge in charges:
            deadline = began_at + charge.process.stop_seconds
            while charge.child.is_running and time.monotonic() < deadline and not self.signals.is_hurried:
                self._show_logs()
                time.sleep(POLL_SECONDS)
            if charge.child.is_running:
                self.terminal.say(f"{charge.process.name} did not stop in time and is killed")
                charge.child.kill()
        self._show_logs()

    def _show_logs(self) -> None:
        if not self.is_quiet:
            for charge in self._charges:
                charge.follower.pump(terminal=self.terminal)

    def _charge(self, process: Process) -> Charge:
        child = self._child(name=process.name, command=process.command, environment=process.environment)
        return Charge(process=process, child=child, follower=LogFollower(name=process.name, path=child.log_file))

    def _child(self, *, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        shared = child_environment(
            addresses=self.services.addresses.as_environment(), chosen=self.chosen, state_dir=self.state_dir
        )
        return Child(
            name=name,
            command=command,
            log_file=self.state_dir / "logs" / f"{name}.log",
            # By this name `pg_stat_activity` and the server's log tell whose connection it is.
            environment={"PGAPPNAME": name, **shared, **environment},
            is_python=True,
        )

    def _publish(self) -> None:
        addresses = self.services.addresses.as_environment()
        publish_environment(state_dir=self.state_dir, environment={**addresses, **self.chosen.as_environment()})

    def _report(self, name: str, *, since: float, remark: str = "up") -> None:
        self.terminal.say(f"{name:<10} {time.monotonic() - since:5.1f} s  {remark}")

    def _say_crash(self, child: Child, *, pause_seconds: float) -> None:
        self.terminal.say(
            f"{child.name} ended with status {child.exit_status}; starting it again in {pause_seconds:g} s"
            f" (its log: {child.log_file})"
        )


def _empty_metrics(process: Process) -> None:
    # The numbers of workers that no longer exist would be added to those of the new ones for ever.
    if folder := _remove_metrics(process):
        folder.mkdir(parents=True)


def _remove_metrics(process: Process) -> Path | None:
    folder = process.environment.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    return Path(folder)
