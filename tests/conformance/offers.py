"""Every action that the simulator offers has a case here that calls it through the vendor's SDK."""

import inspect

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.dlc.v20210125 import models
from tencentcloud.dlc.v20210125.dlc_client import DlcClient
from tencentcloud.sts.v20180813 import models as sts_models
from tencentcloud.sts.v20180813.sts_client import StsClient

import command_line
import sdk
import shape
import stage
import switches
from suite import Skipped, case, case_for_each, holds, same

# What a call is refused with before anybody looks at what its action is.
NOT_OFFERED = ("InvalidAction", "NoSuchVersion", "NoSuchProduct", "AuthFailure")

ROLE = "qcs::cam::uin/100000000001:roleName/conformance"


def any_switch():
    """A switch that the simulator takes."""
    engine = switches.fresh_engine()
    return {"DataEngineId": engine.DataEngineId, "NewImageVersionId": switches.images_for(engine)[0]}


# A good call of every action that this suite knows, with the model of its answer. An action that the simulator
# begins to offer gets a line here, and cases of its own where it can be called wrongly.
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
    "AssumeRole": (
        sdk.sts_client,
        lambda: {"RoleArn": ROLE, "RoleSessionName": "conformance"},
        sts_models.AssumeRoleResponse,
    ),
}


def actions_of(kind):
    """Every action of a client of the SDK."""
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0].isupper()]


def is_offered(client, action):
    """Whether the simulator gets as far as looking at what an action asks for."""
    try:
        client.call_json(action, {})
    except TencentCloudSDKException as refusal:
        return not refusal.get_code().startswith(NOT_OFFERED)
    return True


@case
def what_the_simulator_offers_of_the_sdks_actions_is_known_here():
    asked = [
        (make, action)
        for make, kind in ((sdk.client, DlcClient), (sdk.sts_client, StsClient))
        for action in actions_of(kind)
    ]
    clients = {make: make(stage.shared()) for make, _ in asked}
    offered = {action for make, action in asked if is_offered(clients[make], action)}
    same(offered - set(KNOWN), set())
    return f"{len(offered)} of {len(asked)}: {', '.join(sorted(offered))}"


@case_for_each([(action, action) for action in KNOWN])
def an_action_is_answered_as_its_model_documents_and_refuses_what_it_does_not_know(action):
    make, parameters, model = KNOWN[action]
    client = make(stage.shared())
    if not is_offered(client, action):
        raise Skipped("not offered by the simulator")
    answer = client.call_json(action, parameters())["Response"]
    same(shape.faults(model, answer), [])
    filled = model()
    filled._deserialize(answer)
    holds(filled.RequestId, "the SDK reads the RequestId")
    same(sdk.outcome(lambda: client.call_json(action, {**parameters(), "Colour": "red"})), "UnknownParameter")
    flags = [text for name, value in parameters().items() for text in (f"--{name}", value)]
    product = "sts" if make is sdk.sts_client else "dlc"
    printed = command_line.answer(product, action, *flags)
    same(set(printed) - set(shape.fields_of(model)), set())
