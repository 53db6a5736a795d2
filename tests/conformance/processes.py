"""Starts the executable, as simulator or as client, in an environment without variables of this machine."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

EXECUTABLE = os.environ["DLC_FLEET_EXECUTABLE"]
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
REGION = "ap-guangzhou"
SECRET_ID = "AKIDconformance"
SECRET_KEY = "conformance-secret-key"
TOKEN = "conformance-token"

# Longest wait, in seconds; a slow machine is not a failure.
TIMEOUT = 120

# No latency, and a rate limit that no case reaches by accident.
NO_FAULTS = """
latency: {median: 0ms, max: 0ms}
switching: {min: 300ms, max: 300ms}
rate_limit: 100000
"""


def environment(token=None, **more):
    """The keys and a path, nothing else, in particular no proxy."""
    keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
    if token:
        keys["TENCENTCLOUD_TOKEN"] = token
    return {"PATH": os.environ["PATH"], "NO_COLOR": "1", **keys, **more}


class Simulated:
    """A simulator on a port of its own."""

    def __init__(self, scenario=NO_FAULTS, token=None, engines=200):
        self.token = token
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name, "scenario.yaml")
        path.write_text(scenario)
        command = [EXECUTABLE, "simulate", "--region", REGION, "--scenario", str(path), "--engines", str(engines)]
        self.process = subprocess.Popen(
            command, env=environment(token, HOME=self.folder.name), stdout=subprocess.PIPE, text=True
        )
        first_line = self.process.stdout.readline().strip()
        if not first_line:
            raise RuntimeError(f"the simulator did not start: {' '.join(command)}")
        self.host = first_line.removeprefix("simulator listening on http://")
        self.port = int(self.host.rpartition(":")[2])

    def stats(self):
        """The statistics of the simulator."""
        with urllib.request.urlopen(f"http://{self.host}/stats", timeout=TIMEOUT) as answer:
            return json.load(answer)

    def stop(self):
        """Ends the process and removes its folder."""
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self.folder.cleanup()


SHARED = {}


def shared(token=None):
    """A simulator without faults that all cases with the same token share."""
    if token not in SHARED:
        SHARED[token] = Simulated(token=token)
    return SHARED[token]


def stop_shared():
    """Ends every shared simulator."""
    for simulated in SHARED.values():
        simulated.stop()


@contextlib.contextmanager
def simulated_with(scenario, **more):
    """A simulator for one case."""
    simulated = Simulated(scenario, **more)
    try:
        yield simulated
    finally:
        simulated.stop()


def wait_until(what, condition):
    """Waits until a condition holds and returns what it returned."""
    begun = time.monotonic()
    while time.monotonic() - begun < TIMEOUT:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")
