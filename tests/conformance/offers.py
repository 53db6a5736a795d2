"""Every action that the simulator offers is called here through the vendor's SDK and tccli."""

import inspect
import sys

from tencentcloud.dlc.v20210125 import models
from tencentcloud.dlc.v20210125.dlc_client import DlcClient
from tencentcloud.sts.v20180813 import models as sts_models
from tencentcloud.sts.v20180813.sts_client import StsClient

import command_line
import sdk
import shape
import stage
import switches
from suite import case, case_for_each, holds, same

# What a call is refused with where its action is not played. Refused keys say nothing about that, and are an error.
NOT_OFFERED = ("InvalidAction", "NoSuchVersion", "NoSuchProduct")

ROLE = {"RoleArn": "qcs::cam::uin/100000000001:roleName/conformance", "RoleSessionName": "conformance"}


def any_switch():
    """A switch that the simulator takes."""
    engine = switches.fresh_engine()
    return {"DataEngineId": engine.DataEngineId, "NewImageVersionId": switches.images_for(engine)[0]}


# A good call of every action that the simulator offers, with the model of its answer. One that it begins to offer gets
# a line here, and cases of its own where it can be called wrongly.
KNOWN = {
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


def is_offered(client, action):
    """Whether the simulator gets as far as looking at what an action asks for."""
    code = sdk.outcome(lambda: client.call_json(action, {}))
    holds(not code.startswith("AuthFailure"), f"{action} is refused with {code}: nobody knows whether it is offered")
    return not code.startswith(NOT_OFFERED)


@case
def what_the_simulator_offers_of_the_sdks_actions_is_exactly_what_is_known_here():
    asked = [
        (make, action)
        for make, kind in ((sdk.client, DlcClient), (sdk.sts_client, StsClient))
        for action in actions_of(kind)
    ]
    clients = {make: make(stage.shared()) for make, _ in asked}
    offered = {action for make, action in asked if is_offered(clients[make], action)}
    same(offered, set(KNOWN))
    return f"{len(offered)} of {len(asked)}: {', '.join(sorted(offered))}"


def good_call(action):
    """A client, and parameters with which it calls an action well."""
    make, parameters, _ = KNOWN[action]
    return make(stage.shared()), parameters()


@case_for_each([(action, action) for action in KNOWN])
def an_action_is_answered_as_its_model_documents(action):
    client, parameters = good_call(action)
    model = KNOWN[action][2]
    answer = client.call_json(action, parameters)["Response"]
    same(shape.faults(model, answer), [])
    filled = model()
    filled._deserialize(answer)
    holds(filled.RequestId, "the SDK reads the RequestId")


@case_for_each([(action, action) for action in KNOWN])
def tccli_prints_the_answer_to_an_action(action):
    client, parameters = good_call(action)
    flags = [text for name, value in parameters.items() for text in (f"--{name}", value)]
    printed = command_line.answer(client._service, action, *flags)
    same(set(printed) - set(shape.fields_of(KNOWN[action][2])), set())


@case_for_each([(action, action) for action in KNOWN])
def an_action_knows_every_parameter_of_its_model_and_no_other(action):
    client, parameters = good_call(action)
    request = getattr(sys.modules[KNOWN[action][2].__module__], f"{action}Request")
    samples = {name: shape.sample_of(kind) for name, (kind, _) in shape.fields_of(request).items()}
    code = sdk.outcome(lambda: client.call_json(action, {**samples, **parameters}))
    holds(code != "UnknownParameter" and not code.startswith("InvalidParameter"), f"{code} for {samples}")
    same(sdk.outcome(lambda: client.call_json(action, {**parameters, "Colour": "red"})), "UnknownParameter")
