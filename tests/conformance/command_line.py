"""The vendor's command line, tccli, drives the simulator over HTTPS."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import processes
import switches
import tls
from suite import case, case_for_each, holds, same

TCCLI = str(pathlib.Path(sys.executable).parent / "tccli")
REFUSED = re.compile(r"code:(\S*) message:.* requestId:(\S+)")
KEYS = {"TENCENTCLOUD_SECRET_ID": processes.SECRET_ID, "TENCENTCLOUD_SECRET_KEY": processes.SECRET_KEY}

OPEN = {}


def front(token=None):
    """A TLS server in front of the shared simulator."""
    if "authority" not in OPEN:
        OPEN["authority"] = tls.Authority()
    if token not in OPEN:
        OPEN[token] = tls.Front(OPEN["authority"], processes.shared(token).port)
    return OPEN[token]


def stop():
    """Closes the TLS servers and the authority."""
    for opened in OPEN.values():
        opened.close()


def run(*arguments, token=None, endpoint=None, trust=True, keys=KEYS, home=None):
    """Runs `tccli` to its end, by default with keys from the environment."""
    endpoint = endpoint or front(token).host
    with tempfile.TemporaryDirectory() as empty:
        environment = {"PATH": "/usr/bin:/bin", "HOME": home or empty, **keys}
        if trust:
            environment["PYTHONPATH"] = OPEN["authority"].trust
        command = [TCCLI, *arguments, "--region", processes.REGION, "--endpoint", endpoint]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=processes.TIMEOUT)


def answer(*arguments, **more):
    """What tccli prints."""
    ran = run(*arguments, **more)
    holds(ran.returncode == 0, f"exit {ran.returncode}: {ran.stderr}")
    return json.loads(ran.stdout)


def code(*arguments, **more):
    """The code with which tccli was refused."""
    ran = run(*arguments, **more)
    found = REFUSED.search(ran.stderr)
    holds(ran.returncode != 0 and found, f"exit {ran.returncode}: {ran.stdout}{ran.stderr}")
    holds(found[1].startswith("Client") or found[2] != "None", "a refusal has a RequestId")
    return found[1]


@case
def engines_are_listed():
    listing = answer("dlc", "DescribeDataEngines", "--Limit", "3", "--Offset", "2", "--EngineType", "spark")
    same(len(listing["DataEngines"]), 3)
    same({engine["EngineType"] for engine in listing["DataEngines"]}, {"spark"})


@case
def filters_are_accepted_as_arguments_and_as_json():
    engine = switches.fresh_engine()
    kind = ["--EngineGeneration", engine.EngineGeneration, "--EngineExecType", engine.EngineExecType]
    unfolded = ["--cli-unfold-argument", "--Filters.0.Name", "engine-id", "--Filters.0.Operator", "IN"]
    unfolded += ["--Filters.0.Values", engine.DataEngineId, "DataEngine-unknown"]
    as_json = json.dumps([{"Name": "engine-id", "Operator": "IN", "Values": [engine.DataEngineId]}])
    for filters in (unfolded, ["--Filters", as_json]):
        listing = answer("dlc", "DescribeDataEngines", *kind, *filters)
        same([found["DataEngineId"] for found in listing["DataEngines"]], [engine.DataEngineId])


@case
def a_request_is_read_from_a_file():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as request:
        json.dump({"EngineGeneration": "Native", "EngineExecType": "BATCH", "Limit": 1}, request)
        request.flush()
        listing = answer("dlc", "DescribeDataEngines", "--cli-input-json", f"file://{request.name}")
    same([engine["EngineGeneration"] for engine in listing["DataEngines"]], ["Native"])


@case
def images_are_listed():
    listing = answer("dlc", "DescribeDataEngineImageVersions", "--EngineType", "StandardSpark")
    same(listing["Total"], len(listing["ImageParentVersions"]))


@case
def an_engine_is_switched_and_waited_for():
    engine = switches.fresh_engine()
    target = switches.images_for(engine)[0]
    ids = ["--DataEngineId", engine.DataEngineId, "--NewImageVersionId", target]
    holds(answer("dlc", "SwitchDataEngineImage", *ids)["RequestId"], "a RequestId")
    kind = ["--EngineGeneration", engine.EngineGeneration, "--EngineExecType", engine.EngineExecType]
    by_id = ["--Filters", json.dumps([{"Name": "engine-id", "Operator": "IN", "Values": [engine.DataEngineId]}])]
    expression = "join('@', [to_string(DataEngines[0].State), DataEngines[0].ImageVersionId])"
    waiter = {"expr": expression, "to": f"2@{target}", "timeout": processes.TIMEOUT, "interval": 1}
    ran = run("dlc", "DescribeDataEngines", *kind, *by_id, "--waiter", repr(waiter))
    same(ran.returncode, 0)
    holds(switches.arrived(engine.DataEngineId, target), "the engine runs its new image")


@case_for_each(
    [
        ("an unknown engine", ["DataEngine-unknown", "x"], {}, "ResourceNotFound.DataEngineNotFound"),
        (
            "a wrong key",
            ["x", "x"],
            {"keys": {**KEYS, "TENCENTCLOUD_SECRET_KEY": "another-key"}},
            "AuthFailure.SignatureFailure",
        ),
        (
            "an unknown key",
            ["x", "x"],
            {"keys": {**KEYS, "TENCENTCLOUD_SECRET_ID": "AKIDunknown"}},
            "AuthFailure.SecretIdNotFound",
        ),
        ("no token", ["x", "x"], {"token": processes.TOKEN}, "AuthFailure.TokenFailure"),
        (
            "another token",
            ["x", "x"],
            {"token": processes.TOKEN, "keys": {**KEYS, "TENCENTCLOUD_TOKEN": "another-token"}},
            "AuthFailure.TokenFailure",
        ),
    ]
)
def tccli_prints_the_code_of_a_refusal(ids, more, expected):
    engine_id, image_id = ids
    arguments = ["dlc", "SwitchDataEngineImage", "--DataEngineId", engine_id, "--NewImageVersionId", image_id]
    same(code(*arguments, **more), expected)


@case
def a_token_from_the_environment_is_accepted():
    keys = {**KEYS, "TENCENTCLOUD_TOKEN": processes.TOKEN}
    same(len(answer("dlc", "DescribeDataEngines", token=processes.TOKEN, keys=keys)["DataEngines"]), 10)


@case
def keys_from_a_profile_are_accepted():
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home, ".tccli")
        folder.mkdir()
        keys = {"secretId": processes.SECRET_ID, "secretKey": processes.SECRET_KEY, "token": processes.TOKEN}
        folder.joinpath("test.credential").write_text(json.dumps(keys))
        arguments = ["dlc", "DescribeDataEngines", "--profile", "test"]
        same(len(answer(*arguments, token=processes.TOKEN, keys={}, home=home)["DataEngines"]), 10)


@case
def a_certificate_that_is_not_trusted_is_refused_by_tccli():
    same(code("dlc", "DescribeDataEngines", trust=False), "ClientNetworkError")


@case
def an_endpoint_with_http_needs_no_tls():
    endpoint = f"http://{processes.shared().host}"
    same(len(answer("dlc", "DescribeDataEngines", endpoint=endpoint)["DataEngines"]), 10)
