import socket
import subprocess
import sys
from pathlib import Path

import pytest

from integrations.embedded import __main__ as command_line
from integrations.embedded import ports
from integrations.embedded.child import PROJECT_ROOT
from integrations.embedded.errors import EmbeddedError, PortTaken
from integrations.embedded.processes import chosen_ports, process_table, require_free
from integrations.embedded.state import locked_state


def test_a_taken_port_is_named_with_the_variable_that_moves_it() -> None:
    with socket.socket() as other:
        other.bind((ports.LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortTaken) as refusal:
            require_free(chosen=chosen_ports(environment={"WEB_PORT": str(port)}))

    assert str(refusal.value) == (
        f"port {port} is taken by another program; choose a free one: WEB_PORT={port + 10} make run"
    )


@pytest.mark.parametrize("text", ["web", "0", "70000", "-1"])
def test_what_is_not_a_port_is_refused(text: str) -> None:
    with pytest.raises(EmbeddedError, match=f"GATEWAY_PORT={text} is not a port number"):
        chosen_ports(environment={"GATEWAY_PORT": text})


def test_every_process_is_stopped_before_what_it_needs(tmp_path: Path) -> None:
    table = process_table(chosen=chosen_ports(environment={}), state_dir=tmp_path)

    steps = {process.name: process.stop_step for process in table}

    assert steps == {"web": 1, "gateway": 1, "clock": 1, "relay": 2, "consumers": 2, "worker": 3}


def test_run_refuses_a_second_start_in_one_line(
    state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.umask", lambda _mask: 0o022)
    with locked_state(state_dir=state_dir, url="http://127.0.0.1:8000"):
        status = command_line.main(["run", "--state-dir", str(state_dir)])

    shown = capsys.readouterr()
    assert status == 1
    assert shown.out == ""
    assert shown.err.startswith("shop: already running (pid ")
    assert shown.err.endswith("), URL http://127.0.0.1:8000\n")
    assert shown.err.count("\n") == 1


def test_another_platform_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.umask", lambda _mask: 0o022)
    monkeypatch.setattr(sys, "platform", "darwin")

    assert command_line.main(["run"]) == 1
    assert capsys.readouterr().err == "shop: the embedded stack needs Linux, this is darwin; use a Linux container\n"


def test_a_command_runs_beside_the_services_and_its_status_is_passed_on(state_dir: Path) -> None:
    script = 'test -S "${DATABASE_URL#*host=}/.s.PGSQL.5432" && echo "$REDIS_URL $SHOP_STATE_DIR" && exit 7'
    call = ["services", "--state-dir", str(state_dir), "--", "sh", "-c", script]

    done = subprocess.run(
        [sys.executable, "-m", "integrations.embedded", *call],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.stderr == ""
    assert done.returncode == 7
    assert done.stdout.startswith("redis://127.0.0.1:")
    assert done.stdout.endswith(f" {state_dir}\n")
