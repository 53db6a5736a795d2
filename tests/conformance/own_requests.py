"""Requests of dlc-fleet are verified by the vendor's own signing code and read by the vendor's own models."""

import contextlib
import csv
import json
import pathlib
import re
import subprocess
import tempfile
import time

from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.dlc.v20210125 import models
from tencentcloud.sts.v20180813 import models as sts_models

import command_line
import processes
import service
import verification
from suite import case, case_for_each, holds, same

MODELS = {
    "DescribeDataEngines": models.DescribeDataEnginesRequest,
    "DescribeDataEngineImageVersions": models.DescribeDataEngineImageVersionsRequest,
    "SwitchDataEngineImage": models.SwitchDataEngineImageRequest,
    "GetCallerIdentity": sts_models.GetCallerIdentityRequest,
}

# Every header of dlc-fleet, signed or not.
HEADERS = {
    "host",
    "content-type",
    "content-length",
    "authorization",
    "x-tc-action",
    "x-tc-version",
    "x-tc-timestamp",
    "x-tc-region",
    "x-tc-language",
    "x-tc-requestclient",
    "accept",
}
NAMES = [f"DataEngine-{number:02}" for number in range(12)]
QUICK = ["--yes", "--min-ready", "200ms", "--wait-timeout", "60s"]
DAY = 86_400


def fleet():
    """Twelve engines of all four kinds."""
    kinds = [(generation, exec_type) for generation in ("SuperSQL", "Native") for exec_type in ("SQL", "BATCH")]
    return {name: service.Engine("image-old", *kinds[number % 4]) for number, name in enumerate(NAMES)}


@contextlib.contextmanager
def verifying(secret_key=processes.SECRET_KEY, engines=None, **more):
    """A service that by default accepts the keys of the processes."""
    with service.VerifyingService(engines or fleet(), processes.SECRET_ID, secret_key, **more) as started:
        yield started


class Ran:
    """The result of one run of the executable."""

    def __init__(self, endpoint, flags, rows, token, more):
        with tempfile.TemporaryDirectory() as folder:
            with open(pathlib.Path(folder, "plan.csv"), "w", newline="", encoding="utf-8") as file:
                plan = csv.writer(file, lineterminator="\n")
                plan.writerow(["data_engine_id", "new_image_version_id", "region"])
                plan.writerows([name, "image-new", region] for name, region in rows.items())
            command = [processes.EXECUTABLE, "run", "plan.csv", "--endpoint", endpoint, "--output", "json", *flags]
            environment = processes.environment(token, HOME=folder, **more)
            ran = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=processes.TIMEOUT
            )
        self.code, self.stdout, self.stderr = ran.returncode, ran.stdout, ran.stderr


def run(started, *flags, rows=None, token=None, endpoint=None, **more):
    """`dlc-fleet run` against a verifying service; rows are engines and their regions."""
    rows = rows or dict.fromkeys(NAMES, processes.REGION)
    return Ran(endpoint or f"http://{started.host}", flags, rows, token, more)


def all_verified(started, ran, code=0):
    """Fails unless every request was verified; returns how many there were."""
    holds(ran.code == code, f"exit {ran.code}: {ran.stdout}{ran.stderr}{started.refused}")
    same(started.refused, [])
    same(len(started.verified), len(started.received))
    holds(started.verified, "there were requests")
    return f"{len(started.verified)} requests verified"


def actions(started):
    """The number of requests of each action."""
    found = [received.header("X-TC-Action") for received in started.received]
    return {action: found.count(action) for action in sorted(set(found))}


@case
def every_request_of_a_run_is_verified():
    with verifying() as started:
        ran = run(started, *QUICK)
        counted = all_verified(started, ran)
        same(actions(started)["SwitchDataEngineImage"], len(NAMES))
        same({engine.image for engine in started.engines.values()}, {"image-new"})
    return counted


@case
def every_request_of_a_dry_run_is_verified_and_none_switches():
    with verifying() as started:
        counted = all_verified(started, run(started, "--dry-run"))
        holds(actions(started), "there were requests")
        holds("SwitchDataEngineImage" not in actions(started), "a dry run switched")
    return counted


@case
def every_request_with_a_token_is_verified():
    with verifying(token=processes.TOKEN) as started:
        return all_verified(started, run(started, *QUICK, token=processes.TOKEN))


@case
def every_request_with_the_keys_of_a_role_is_verified():
    with verifying() as started:
        role = ["--role-arn", "qcs::cam::uin/100000000001:roleName/conformance"]
        counted = all_verified(started, run(started, *QUICK, *role))
        same(actions(started)["AssumeRole"], 1)
        switches = [sent for sent in started.verified if sent.header("X-TC-Action") == "SwitchDataEngineImage"]
        same({len(sent.header("X-TC-Token")) > 0 for sent in switches}, {True})
    return counted


@case
def every_request_over_https_is_verified():
    command_line.front()
    authority = command_line.OPEN["authority"]
    with verifying(server_side=authority.server_side()) as started:
        endpoint = f"https://{started.host}"
        ran = run(started, *QUICK, endpoint=endpoint, SSL_CERT_FILE=authority.certificate)
        return all_verified(started, ran)


@case
def nothing_is_sent_to_a_server_with_an_untrusted_certificate():
    command_line.front()
    with verifying(server_side=command_line.OPEN["authority"].server_side()) as started:
        ran = run(started, *QUICK, endpoint=f"https://{started.host}")
        same((ran.code, len(started.received)), (3, 0))


@case_for_each(
    [
        ("another key", {"secret_key": "another-key"}, {}),
        ("a missing token", {"token": processes.TOKEN}, {}),
        ("an unexpected token", {}, {"token": processes.TOKEN}),
    ]
)
def a_refused_signature_ends_the_run_before_any_switch(ours, theirs):
    for flags in (QUICK, ["--dry-run"]):
        with verifying(**ours) as started:
            ran = run(started, *flags, **theirs)
            same(ran.code, 3)
            same(started.verified, [])
            holds(started.refused, "something was refused")
            same({engine.image for engine in started.engines.values()}, {"image-old"})


@case
def the_vendors_code_computes_the_signatures_of_our_test_vectors():
    text = (processes.REPOSITORY / "tests/vectors/tc3.json").read_text(encoding="utf-8")
    vectors = [
        vector
        for vector in json.loads(text)["vectors"]
        if vector["input"]["signed_headers"] == "content-type;host" and vector["input"]["secret_key"]
    ]
    for vector in vectors:
        given, expected = vector["input"], vector["expect"]
        headers = {"Content-Type": given["content_type"], "Host": given["host"]}
        headers["X-TC-Timestamp"] = str(given["timestamp"])
        body = bytes.fromhex(given["body_utf8_hex"])
        received = verification.Received("POST", "/", headers.items(), body)
        signed = verification.vendors_signature(received, given["secret_key"], expected["date"], given["service"])
        same((vector["name"], signed), (vector["name"], expected["signature"]))
    return f"{len(vectors)} vectors"


@case
def a_request_that_was_changed_after_signing_is_not_verified():
    with verifying() as started:
        all_verified(started, run(started, *QUICK))
        known, now = started.known, started.now()
        valid = started.verified[-1]
        verification.verify(valid, known, now)
        later = str(int(valid.header("X-TC-Timestamp")) + 1)
        for changed in (
            valid.with_body(valid.body + b" "),
            valid.with_body(valid.body[:-1]),
            valid.with_header("Host", "dlc.tencentcloudapi.com"),
            valid.with_header("Content-Type", "application/json; charset=utf-8"),
            valid.with_header("X-TC-Timestamp", later),
            valid.with_header("Authorization", valid.header("Authorization")[:-1] + "?"),
        ):
            try:
                verification.verify(changed, known, now)
            except verification.Refused:
                continue
            raise AssertionError(f"verified although changed: {changed.headers} {changed.body}")


def of_a_whole_run(token=None):
    """Every request of a dry run and of a run."""
    with verifying(token=token) as started:
        all_verified(started, run(started, "--dry-run", token=token))
        all_verified(started, run(started, *QUICK, token=token))
        return started.host, started.received


@case
def only_the_documented_headers_are_sent():
    for token in (None, processes.TOKEN):
        host, received = of_a_whole_run(token)
        expected = HEADERS | ({"x-tc-token"} if token else set())
        for request in received:
            same(sorted(name.lower() for name, _ in request.headers), sorted(expected))
            same((request.method, request.path), ("POST", "/"))
            same(request.header("Host"), host)
            same(request.header("Content-Type"), "application/json")
            holds(request.header("X-TC-Version") in verification.PRODUCTS, "a version of the SDK")
            same(request.header("X-TC-Region"), processes.REGION)
            holds(request.header("X-TC-Language") in ("zh-CN", "en-US"), "a language of the vendor's")
            holds(re.fullmatch(r"\d{10}", request.header("X-TC-Timestamp")), "Unix seconds")
            holds(request.header("X-TC-Action") in MODELS, "an action of the SDK")


@case
def the_sdk_accepts_our_request_client():
    _, received = of_a_whole_run()
    names = {request.header("X-TC-RequestClient") for request in received}
    same(len(names), 1)
    name = names.pop()
    same(ClientProfile(request_client=name).request_client, name)
    return name


@case
def bodies_are_those_of_the_models_of_the_sdk():
    _, received = of_a_whole_run()
    seen = set()
    for request in received:
        action = request.header("X-TC-Action")
        read = service.request_of(MODELS[action], request.body)
        same(json.loads(request.body), read._serialize())
        seen.add(action)
    holds(seen >= {"DescribeDataEngines", "DescribeDataEngineImageVersions", "SwitchDataEngineImage"}, seen)


@case
def every_row_is_switched_in_its_own_region():
    regions = ["ap-guangzhou", "ap-shanghai", "na-siliconvalley"]
    rows = {name: regions[number % 3] for number, name in enumerate(NAMES)}
    with verifying() as started:
        counted = all_verified(started, run(started, *QUICK, rows=rows))
        switches = [sent for sent in started.received if sent.header("X-TC-Action") == "SwitchDataEngineImage"]
        same({json.loads(sent.body)["DataEngineId"]: sent.header("X-TC-Region") for sent in switches}, rows)
    return counted


@case
def names_that_json_escapes_are_signed_as_sent():
    name = 'DataEngine-"a"<&>/\'+,'
    with verifying(engines={name: service.Engine()}) as started:
        counted = all_verified(started, run(started, *QUICK, rows={name: processes.REGION}))
        same(started.engines[name].image, "image-new")
    return counted


@case_for_each([("ten minutes ahead", 600), ("ten minutes behind", -600)])
def a_service_with_another_clock_accepts_the_second_request(ahead):
    with verifying(ahead=ahead) as started:
        ran = run(started, *QUICK)
        same(ran.code, 0)
        same({code for code, _ in started.refused}, {"AuthFailure.SignatureExpire"})
        same(len(started.verified), len(started.received) - len(started.refused))
        return f"{len(started.verified)} requests verified, {len(started.refused)} signed again"


@case_for_each([("ten minutes past midnight", 600), ("ten minutes to midnight", DAY - 600)])
def the_scope_has_the_utc_date_of_the_service(into_the_day):
    # the nearest such time, so that the clocks are at most half a day apart
    ahead = (into_the_day - time.time() + DAY / 2) % DAY - DAY / 2
    with verifying(ahead=ahead) as started:
        ran = run(started, *QUICK, TZ="CST-8")
        same(ran.code, 0)
        scopes = {request.header("Authorization").split("/")[1] for request in started.verified}
        same(scopes, {time.strftime("%Y-%m-%d", time.gmtime(started.now()))})
        return f"{len(started.verified)} requests verified"
