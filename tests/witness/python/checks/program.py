"""The program itself: how it starts and how it ends."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

from harness import check, eventually
from sandbox import SANDBOX


def start(folder, *options):
    """A sandbox of its own, and what it has written."""
    program = [SANDBOX["program"], "--folder", folder, *options]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    file = pathlib.Path(folder, "sandbox.json")
    eventually(lambda: file.exists() or process.poll() is not None, "it has started", seconds=240)
    assert process.poll() is None, process.stderr.read()
    return process, json.loads(file.read_text())


def children(process):
    """The processes that it has started; only Linux tells."""
    listed = pathlib.Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(number) for one in listed for number in one.read_text().split()]


def is_gone(number):
    """Whether a process has ended."""
    try:
        return pathlib.Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@check
def it_ends_on_a_signal_and_whatever_ends_it_azurite_ends_as_well():
    for how in (signal.SIGTERM, signal.SIGKILL):
        with tempfile.TemporaryDirectory() as folder:
            process, document = start(folder, *([] if "blob" in SANDBOX else ["--without-blob"]))
            azurite = children(process)
            assert "blob" not in document or azurite or not os.path.isdir("/proc"), "Azurite is no child of it"
            process.send_signal(how)
            code = process.wait(60)
            assert code == (0 if how == signal.SIGTERM else -how), code
            eventually(lambda: all(is_gone(number) for number in azurite), "Azurite has ended")


@check
def a_port_that_is_taken_is_said_to_be():
    port = SANDBOX["entra"].rsplit(":", 1)[1]
    with tempfile.TemporaryDirectory() as folder:
        program = [SANDBOX["program"], "--folder", folder, "--without-blob", "--entra-port", port]
        ended = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1 and f"port {port}" in ended.stderr, ended.stderr


@check
def keys_are_for_their_owner_alone():
    with tempfile.TemporaryDirectory() as folder:
        process, _ = start(folder, "--without-blob")
        process.terminate()
        process.wait(60)
        for name in ("sandbox.json", "server.key", "federated-token"):
            mode = os.stat(os.path.join(folder, name)).st_mode & 0o777
            assert mode == 0o600, f"{name}: {mode:o}"
