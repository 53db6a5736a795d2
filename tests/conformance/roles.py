"""The vendor's SDK and tccli ask the simulator who they are, and for the keys of a role."""

import json
import pathlib
import tempfile

from tencentcloud.common import credential

import command_line
import offers
import sdk
import stage
from suite import case, case_for_each, holds, same


def sts_client():
    """A client of STS, where the simulator plays it."""
    return sdk.sts_client(stage.shared())


def with_role(**more):
    """A client of DLC with the keys of a role."""
    keys = sts_client().call_json("AssumeRole", offers.ROLE)["Response"]["Credentials"]
    keys = {"secret_id": keys["TmpSecretId"], "secret_key": keys["TmpSecretKey"], "token": keys["Token"], **more}
    return sdk.client(stage.shared(), **keys)


@case
def keys_of_a_role_sign_calls_of_dlc():
    same(sdk.outcome(lambda: sdk.engines(with_role())), "ok")


@case_for_each(
    [
        ("without their token", {"token": None}, "AuthFailure.TokenFailure"),
        ("with another token", {"token": "another-token"}, "AuthFailure.TokenFailure"),
        ("with another key", {"secret_key": "another-key"}, "AuthFailure.SignatureFailure"),
    ]
)
def keys_of_a_role_are_nothing(changed, code):
    same(sdk.outcome(lambda: sdk.engines(with_role(**changed))), code)


@case
def the_sdk_assumes_a_role_by_itself():
    role, endpoint = offers.ROLE, f"http://{stage.shared().host}"
    keys = credential.STSAssumeRoleCredential(
        stage.SECRET_ID, stage.SECRET_KEY, role["RoleArn"], role["RoleSessionName"], endpoint=endpoint
    )
    same(sdk.outcome(lambda: sdk.engines(sdk.client(stage.shared(), keys=keys))), "ok")


@case
def the_sdk_assumes_a_role_with_a_web_identity():
    role, endpoint = offers.ROLE, f"http://{stage.shared().host}"
    keys = credential.OIDCRoleArnCredential(
        stage.REGION, "provider", "web-identity", role["RoleArn"], role["RoleSessionName"], endpoint=endpoint
    )
    same(sdk.outcome(lambda: sdk.engines(sdk.client(stage.shared(), keys=keys))), "ok")


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
        role = ["--role-arn", offers.ROLE["RoleArn"], "--role-session-name", offers.ROLE["RoleSessionName"]]
        same(len(command_line.answer("dlc", "DescribeDataEngines", *role, home=home)["DataEngines"]), 10)


@case
def a_role_is_another_caller_of_the_same_account():
    ours = sts_client().call_json("GetCallerIdentity", {})["Response"]
    keys = with_role().credential
    roles = sdk.sts_client(stage.shared(), keys=keys).call_json("GetCallerIdentity", {})["Response"]
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
def a_mistake_gets_the_code_of_what_is_wrong(changed, code):
    client = sts_client()
    asked = {name: value for name, value in {**offers.ROLE, **changed}.items() if value is not None}
    found = sdk.outcome(lambda: client.call_json("AssumeRole", asked))
    same(found.split(".")[0], code)


@case
def a_scope_of_sts_does_not_open_dlc():
    client = sts_client()
    found = sdk.outcome(lambda: client.call_json("DescribeDataEngines", {}))
    holds(found in ("InvalidAction", "NoSuchVersion"), found)
