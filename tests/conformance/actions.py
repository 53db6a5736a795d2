"""The vendor's SDK and tccli call every action that the simulator supports, and no other action is supported."""

import inspect

from tencentcloud.dlc.v20210125 import models
from tencentcloud.dlc.v20210125.dlc_client import DlcClient
from tencentcloud.sts.v20180813 import models as sts_models
from tencentcloud.sts.v20180813.sts_client import StsClient

import command_line
import processes
import sdk
import shape
import switches
from suite import case, case_for_each, holds, same

# Codes of an action that the simulator does not support.
NOT_SUPPORTED = ("InvalidAction", "NoSuchVersion", "NoSuchProduct")

ROLE = {"RoleArn": "qcs::cam::uin/100000000001:roleName/conformance", "RoleSessionName": "conformance"}


def any_switch():
    """A switch that the simulator accepts."""
    engine = switches.fresh_engine()
    return {"DataEngineId": engine.DataEngineId, "NewImageVersionId": switches.images_for(engine)[0]}


# A valid request of every supported action, and the model of its response.
SUPPORTED = {
    "DescribeDataEngines": (sdk.client, dict, models.DescribeDataEnginesResponse),
    "DescribeDataEngine": (
        sdk.client,
        lambda: {"DataEngineName": switches.fresh_engine().DataEngineName},
        models.DescribeDataEngineResponse,
    ),
    "DescribeDataEngineImageVersions": (
        sdk.client,
        lambda: {"EngineType": "SparkSQL"},
        models.DescribeDataEngineImageVersionsResponse,
    ),
    "SwitchDataEngineImage": (sdk.client, any_switch, models.SwitchDataEngineImageResponse),
    "GetCallerIdentity": (sdk.sts_client, dict, sts_models.GetCallerIdentityResponse),
    "AssumeRole": (sdk.sts_client, lambda: ROLE, sts_models.AssumeRoleResponse),
    "AssumeRoleWithWebIdentity": (
        sdk.sts_client,
        lambda: {**ROLE, "ProviderId": "provider", "WebIdentityToken": "web-identity"},
        sts_models.AssumeRoleWithWebIdentityResponse,
    ),
}


def actions_of(kind):
    """Every action of a client of the SDK."""
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0].isupper()]


def is_supported(client, action):
    """Whether the simulator supports an action; the keys must be accepted to tell."""
    code = sdk.outcome(lambda: client.call_json(action, {}))
    holds(not code.startswith("AuthFailure"), f"{action} is refused with {code}")
    return not code.startswith(NOT_SUPPORTED)


@case
def no_other_action_of_the_sdk_is_supported():
    actions = [
        (make, action)
        for make, kind in ((sdk.client, DlcClient), (sdk.sts_client, StsClient))
        for action in actions_of(kind)
    ]
    clients = {make: make(processes.shared()) for make, _ in actions}
    supported = {action for make, action in actions if is_supported(clients[make], action)}
    same(supported, set(SUPPORTED))
    return f"{len(supported)} of {len(actions)}: {', '.join(sorted(supported))}"


def valid_request(action):
    """A client and valid parameters of an action."""
    make, parameters, _ = SUPPORTED[action]
    return make(processes.shared()), parameters()


@case_for_each([(action, action) for action in SUPPORTED])
def the_response_of_an_action_fits_its_model(action):
    client, parameters = valid_request(action)
    model = SUPPORTED[action][2]
    answer = client.call_json(action, parameters)["Response"]
    same(shape.faults(model, answer), [])
    filled = model()
    filled._deserialize(answer)
    holds(filled.RequestId, "the SDK reads the RequestId")


@case_for_each([(action, action) for action in SUPPORTED])
def tccli_prints_the_response_of_an_action(action):
    client, parameters = valid_request(action)
    flags = [text for name, value in parameters.items() for text in (f"--{name}", value)]
    printed = command_line.answer(client._service, action, *flags)
    same(set(printed) - set(shape.fields_of(SUPPORTED[action][2])), set())


@case_for_each([(action, action) for action in SUPPORTED])
def an_action_refuses_an_unknown_parameter(action):
    client, parameters = valid_request(action)
    same(sdk.outcome(lambda: client.call_json(action, {**parameters, "Colour": "red"})), "UnknownParameter")
