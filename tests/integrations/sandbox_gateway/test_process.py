"""The process: killed and started again, refusing where it must not run."""

import os
import signal
import subprocess
import sys
import threading
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from django.core.management import CommandError, call_command

from integrations.sandbox_gateway.config import BadConfiguration, read_config
from tests.integrations.sandbox_gateway.harness import (
    PATIENCE_SECONDS,
    PROCESSING,
    ROOT,
    WEBHOOK_SECRET,
    Gateway,
    Receiver,
    eventually,
    is_gone,
    new_session,
)


def test_killed_gateway_keeps_sessions_keys_faults_and_unsent_callbacks(
    own_gateway: Gateway, receiver: Receiver
) -> None:
    receiver.answer = lambda _event: 503
    own_gateway.start()
    key, body = str(uuid4()), new_session()
    paid = own_gateway.call("POST", "/v1/sessions", body, key=key).json["id"]
    processing = own_gateway.session()
    own_gateway.pay(paid)
    own_gateway.pay(processing, PROCESSING)
    own_gateway.faults(reorder={"count": 0}, wrong_amount=0.5, slow_seconds={"seconds": 0.001, "count": 9})
    eventually(lambda: receiver.of(paid) and receiver.of(processing))

    own_gateway.kill()
    receiver.answer = lambda _event: 200
    before = len(receiver.of(paid))
    own_gateway.start()

    assert own_gateway.call("GET", "/v1/faults").json["wrong_amount"] == {"rate": 0.5}
    own_gateway.faults()
    again = own_gateway.call("POST", "/v1/sessions", body, key=key)
    assert (again.json["id"], again.json["status"]) == (paid, "paid")
    eventually(lambda: len(receiver.of(paid)) > before)
    eventually(lambda: "session.paid" in receiver.types(processing))
    assert receiver.of(paid)[-1].event == receiver.of(paid)[0].event


def test_callback_in_the_air_when_killed_is_sent_again(own_gateway: Gateway, receiver: Receiver) -> None:
    killed = threading.Event()
    receiver.answer = lambda _event: 200 if killed.wait(PATIENCE_SECONDS) else 500
    own_gateway.start()
    session_id = own_gateway.paid_session()
    eventually(lambda: receiver.of(session_id))

    own_gateway.kill()
    killed.set()
    own_gateway.start()

    [first, second] = receiver.wait_for(session_id, "session.paid", "session.paid")
    assert second.event == first.event


def test_killed_main_process_leaves_no_worker_behind(own_gateway: Gateway) -> None:
    own_gateway.start()
    worker = own_gateway.worker()

    own_gateway.kill_main()

    eventually(lambda: is_gone(worker))
    own_gateway.start()
    assert own_gateway.call("GET", "/healthz").json == {"status": "ok"}


def test_killed_worker_ends_the_process(own_gateway: Gateway) -> None:
    own_gateway.start()

    os.kill(own_gateway.worker(), signal.SIGKILL)

    assert own_gateway.process is not None
    assert own_gateway.process.wait(PATIENCE_SECONDS) != 0


def test_terminated_gateway_ends_soon_though_it_holds_an_answer_back(own_gateway: Gateway) -> None:
    own_gateway.start()
    assert own_gateway.process is not None
    own_gateway.faults(slow_seconds=10 * PATIENCE_SECONDS)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        own_gateway.call("GET", "/v1/sessions", timeout=0.2)

    own_gateway.process.send_signal(signal.SIGTERM)

    assert own_gateway.process.wait(PATIENCE_SECONDS) == 0


def test_second_gateway_on_the_same_port_says_so(gateway: Gateway, own_gateway: Gateway) -> None:
    own_gateway.port = gateway.port

    ended = run(own_gateway)

    assert ended.returncode == 1
    assert f"port {gateway.port} is taken" in ended.stderr


def test_second_gateway_on_the_same_store_says_so(gateway: Gateway, own_gateway: Gateway) -> None:
    own_gateway.environment["SHOP_STATE_DIR"] = gateway.environment["SHOP_STATE_DIR"]

    ended = run(own_gateway)

    assert ended.returncode == 1
    assert "another one already works in" in ended.stderr


@pytest.mark.parametrize("module", ["settings.production", "settings.prod", "PRODUCTION"])
def test_gateway_refuses_production_settings(own_gateway: Gateway, module: str) -> None:
    own_gateway.environment["DJANGO_SETTINGS_MODULE"] = module

    ended = run(own_gateway)

    assert (ended.returncode, ended.stderr) == (
        1,
        f"sandbox gateway: refuses to run with DJANGO_SETTINGS_MODULE={module}\n",
    )
    assert not own_gateway.ready.exists()


@pytest.mark.parametrize("allowed", [False, None, 1, "yes"])
def test_command_refuses_unless_the_settings_allow_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch, allowed: object
) -> None:
    settings.SANDBOX_GATEWAY_ALLOWED = allowed
    started: list[object] = []
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))

    with pytest.raises(CommandError, match="do not allow"):
        call_command("sandbox_gateway")

    assert started == []


def test_command_becomes_the_gateway(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SANDBOX_GATEWAY_ALLOWED = True
    started: list[object] = []
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))

    call_command("sandbox_gateway", "--port", "8123")

    assert started == [
        (sys.executable, [sys.executable, "-m", "integrations.sandbox_gateway", "--port", "8123"]),
    ]
    assert os.environ["PYTHONPATH"] == f"{ROOT}{os.pathsep}/somewhere"


def test_gateway_imports_nothing_of_the_shop() -> None:
    code = (
        "import sys, integrations.sandbox_gateway.__main__, integrations.sandbox_gateway.app\n"
        "roots = {name.split('.')[0] for name in sys.modules}\n"
        "ours = {'shop', 'cart', 'checkout', 'orders', 'payments', 'notifications', 'settings'}\n"
        "print(sorted(roots & {'django', *ours}))"
    )

    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"


def test_environment_has_defaults_that_fit_the_shop() -> None:
    config = read_config(environ={"WEB_PORT": "9000"})

    assert (config.port, config.public_url) == (8001, "http://127.0.0.1:8001")
    assert config.callback_url == "http://127.0.0.1:9000/payment-callback/sandbox"
    assert config.folder == ROOT / ".state" / "gateway"
    assert (config.api_secret, config.processing_seconds, config.ready_file) == ("sandbox-secret-key", 3.0, None)


def test_first_webhook_secret_signs() -> None:
    config = read_config(environ={"SANDBOX_WEBHOOK_SECRET": f" {WEBHOOK_SECRET} whsec_b2xk "})

    assert config.webhook_secret == WEBHOOK_SECRET


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_PORT", "0.5"),
        ("GATEWAY_PORT", "70000"),
        ("WEB_PORT", "x"),
        ("SANDBOX_PROCESSING_SECONDS", "-1"),
        ("SANDBOX_PROCESSING_SECONDS", "nan"),
        ("SANDBOX_WEBHOOK_SECRET", "whsec_!"),
        ("SANDBOX_WEBHOOK_SECRET", "whsec_"),
        ("SANDBOX_WEBHOOK_SECRET", "   "),
    ],
)
def test_senseless_environment_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadConfiguration, match=name):
        read_config(environ={name: value})


def run(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    """Run a gateway that is to end by itself."""
    return subprocess.run(
        gateway.command(),
        cwd=ROOT,
        env=gateway.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
