"""The vendor's SDK and tccli get their identity and the keys of a role from the simulator."""

import json
import pathlib
import tempfile

from tencentcloud.common import credential

import actions
import command_line
import processes
import sdk
from suite import case, case_for_each, holds, same


def sts_client():
    """A client of the simulated STS."""
    return sdk.sts_client(processes.shared())


def with_role(**more):
    """A client of DLC with the keys of a role."""
    keys = sts_client().call_json("AssumeRole", actions.ROLE)["Response"]["Credentials"]
    keys = {"secret_id": keys["TmpSecretId"], "secret_key": keys["TmpSecretKey"], "token": keys["Token"], **more}
    return sdk.client(processes.shared(), **keys)


@case
def keys_of_a_role_sign_requests_to_dlc():
    same(sdk.outcome(lambda: sdk.engines(with_role())), "ok")


@case_for_each(
    [
        ("without their token", {"token": None}, "AuthFailure.TokenFailure"),
        ("with another token", {"token": "another-token"}, "AuthFailure.TokenFailure"),
        ("with another key", {"secret_key": "another-key"}, "AuthFailure.SignatureFailure"),
    ]
)
def keys_of_a_role_are_refused(changed, code):
    same(sdk.outcome(lambda: sdk.engines(with_role(**changed))), code)


@case
def the_sdk_assumes_a_role():
    role, endpoint = actions.ROLE, f"http://{processes.shared().host}"
    keys = credential.STSAssumeRoleCredential(
        processes.SECRET_ID, processes.SECRET_KEY, role["RoleArn"], role["RoleSessionName"], endpoint=endpoint
    )
    same(sdk.outcome(lambda: sdk.engines(sdk.client(processes.shared(), keys=keys))), "ok")


@case
def the_sdk_assumes_a_role_with_a_web_identity():
    role, endpoint = actions.ROLE, f"http://{processes.shared().host}"
    keys = credential.OIDCRoleArnCredential(
        processes.REGION, "provider", "web-identity", role["RoleArn"], role["RoleSessionName"], endpoint=endpoint
    )
    same(sdk.outcome(lambda: sdk.engines(sdk.client(processes.shared(), keys=keys))), "ok")


@case
def tccli_assumes_a_role():
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home, ".tccli")
        folder.mkdir()
        configure = {
            "_sys_param": {"output": "json"},
            "dlc": {"version": "2021-01-25", "endpoint": "not asked"},
            "sts": {"version": "2018-08-13", "endpoint": command_line.front().host},
        }
        folder.joinpath("default.configure").write_text(json.dumps(configure))
        role = ["--role-arn", actions.ROLE["RoleArn"], "--role-session-name", actions.ROLE["RoleSessionName"]]
        same(len(command_line.answer("dlc", "DescribeDataEngines", *role, home=home)["DataEngines"]), 10)


@case
def a_role_is_a_different_caller_of_the_same_account():
    ours = sts_client().call_json("GetCallerIdentity", {})["Response"]
    keys = with_role().credential
    roles = sdk.sts_client(processes.shared(), keys=keys).call_json("GetCallerIdentity", {})["Response"]
    same(roles["AccountId"], ours["AccountId"])
    holds(roles["Arn"] != ours["Arn"] and roles["Type"] != ours["Type"], f"{ours} and {roles}")


@case_for_each(
    [
        ("no role", {"RoleArn": None}, "MissingParameter"),
        ("no session", {"RoleSessionName": None}, "MissingParameter"),
        ("no ARN", {"RoleArn": "conformance"}, "InvalidParameter"),
        ("a session of one letter", {"RoleSessionName": "x"}, "InvalidParameter"),
        ("a session with a space", {"RoleSessionName": "con formance"}, "InvalidParameter"),
        ("no time", {"DurationSeconds": 0}, "InvalidParameter"),
        ("more than twelve hours", {"DurationSeconds": 43_201}, "InvalidParameter"),
        ("a time in quotes", {"DurationSeconds": "7200"}, "InvalidParameter"),
    ]
)
def a_parameter_of_assume_role_gets_the_code_of_its_problem(changed, code):
    client = sts_client()
    parameters = {name: value for name, value in {**actions.ROLE, **changed}.items() if value is not None}
    found = sdk.outcome(lambda: client.call_json("AssumeRole", parameters))
    same(found.split(".")[0], code)


@case
def a_signature_for_sts_is_refused_by_dlc():
    client = sts_client()
    found = sdk.outcome(lambda: client.call_json("DescribeDataEngines", {}))
    holds(found in ("InvalidAction", "NoSuchVersion"), found)
