"""The vendor's Python SDK with a host on loopback; a case may change its requests."""

import types
import unittest.mock
import warnings

from tencentcloud.common import abstract_client, credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.dlc.v20210125 import models
from tencentcloud.dlc.v20210125.dlc_client import DlcClient
from tencentcloud.sts.v20180813.sts_client import StsClient

import codes
import processes

# the SDK hides the warnings of its models about unknown fields
warnings.filterwarnings("error", message=".*useless")


class TamperingClient(DlcClient):
    """The SDK's client, whose requests are changed after they were signed."""

    tamper = staticmethod(lambda request: None)

    def _build_req_inter(self, action, params, req_inter, options=None):
        super()._build_req_inter(action, params, req_inter, options)
        self.tamper(req_inter)


def client(
    simulated,
    kind=TamperingClient,
    secret_id=processes.SECRET_ID,
    secret_key=processes.SECRET_KEY,
    token=None,
    region=processes.REGION,
    method="POST",
    sign_method="TC3-HMAC-SHA256",
    keys=None,
):
    """A client of the SDK for a simulator, by default with valid keys."""
    http_profile = HttpProfile(protocol="http", endpoint=simulated.host, reqMethod=method, reqTimeout=processes.TIMEOUT)
    profile = ClientProfile(httpProfile=http_profile, signMethod=sign_method, language="en-US")
    keys = keys or credential.Credential(secret_id, secret_key, token or simulated.token)
    return kind(keys, region, profile)


def tampering(simulated, tamper, **more):
    """A client whose requests are changed after they were signed."""
    tampering_client = client(simulated, **more)
    tampering_client.tamper = tamper
    return tampering_client


def sts_client(simulated, **more):
    """The same for STS."""
    return client(simulated, kind=StsClient, **more)


def signed_at(seconds_ahead):
    """Lets the SDK sign with a wrong clock."""
    now = abstract_client.time.time
    clock = types.SimpleNamespace(time=lambda: now() + seconds_ahead)
    return unittest.mock.patch.object(abstract_client, "time", clock)


def request(model, **fields):
    """A request model of the SDK with these fields."""
    filled = model()
    for name, value in fields.items():
        setattr(filled, name, value)
    return filled


def outcome(call):
    """`ok`, or the code that the SDK raised."""
    try:
        call()
    except TencentCloudSDKException as refusal:
        code = refusal.get_code()
        if not code.startswith(("Client", "ServerNetworkError")):
            check_refusal(refusal)
        return code
    return "ok"


def check_refusal(refusal):
    """Fails unless the service's code is documented, and comes with a message and a RequestId."""
    if not (refusal.get_request_id() and refusal.get_message()):
        raise AssertionError(f"{refusal!r} lacks its message or its RequestId") from refusal
    if refusal.get_code() not in codes.documented():
        raise AssertionError(f"{refusal.get_code()} is not documented") from refusal


def engines(sdk_client, **fields):
    """One page of DescribeDataEngines."""
    return sdk_client.DescribeDataEngines(request(models.DescribeDataEnginesRequest, **fields))


def filter_of(name, values, operator=None):
    """One entry of Filters."""
    return request(models.Filter, Name=name, Values=values, Operator=operator)


def every_engine(sdk_client):
    """All engines, kind by kind and page by page, as often as they are listed."""
    seen = []
    for generation in ("SuperSQL", "Native"):
        for exec_type in ("SQL", "BATCH"):
            kind = {"EngineGeneration": generation, "EngineExecType": exec_type, "Limit": 7}
            while True:
                page = engines(sdk_client, Offset=len_of(seen, generation, exec_type), **kind)
                seen += page.DataEngines or []
                if not page.DataEngines or len_of(seen, generation, exec_type) >= page.TotalCount:
                    break
    return seen


def len_of(seen, generation, exec_type):
    """How many engines of one kind were seen so far."""
    return sum((engine.EngineGeneration, engine.EngineExecType) == (generation, exec_type) for engine in seen)


def images(sdk_client, engine_type, **fields):
    """The image versions of one type."""
    asked = request(models.DescribeDataEngineImageVersionsRequest, EngineType=engine_type, **fields)
    return sdk_client.DescribeDataEngineImageVersions(asked).ImageParentVersions


def switch(sdk_client, engine_id, image_id):
    """SwitchDataEngineImage."""
    asked = request(models.SwitchDataEngineImageRequest, DataEngineId=engine_id, NewImageVersionId=image_id)
    return sdk_client.SwitchDataEngineImage(asked)


def record(sdk_client, engine_id):
    """One engine of any kind, as it is listed."""
    found = [engine for engine in every_engine(sdk_client) if engine.DataEngineId == engine_id]
    return found[0]
