"""What the README tells a newcomer to paste into a shell buys something."""

import re
import shutil
import subprocess

import pytest

from integrations.embedded.child import PROJECT_ROOT
from tests.journeys.stack import COMMAND_SECONDS, Stack

pytestmark = pytest.mark.journey

BLOCK = re.compile(r"^## Buy something with curl$.*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands need curl, which is not installed here")
def test_the_commands_of_the_readme_buy_something(slow_stack: Stack) -> None:
    block = BLOCK.search((PROJECT_ROOT / "README.md").read_text())
    assert block
    # The commands try everything once: before this shop a busy gateway has time to answer.
    commands = block[1].replace("http://127.0.0.1:8000", slow_stack.web_url)

    done = subprocess.run(
        ["sh", "-eu", "-c", commands], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )

    assert done.returncode == 0, done.stderr
    assert '"payment_status":"paid"' in done.stdout
