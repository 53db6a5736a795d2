"""A small service on loopback that verifies each request and answers with the vendor's models."""

import json
import threading
import time
import uuid
import warnings
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tencentcloud.dlc.v20210125 import models
from tencentcloud.sts.v20180813 import models as sts_models

import shape
from verification import Received, Refused, verify

RUNNING = 2
ONLINE = 2
ACCOUNT = "100000000001"


def request_of(model, body):
    """The vendor's model of a request. A field that is not in the model is refused."""
    filled = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            filled.from_json_string(body.decode())
        except Warning as unknown:
            raise Refused("UnknownParameter", str(unknown)) from unknown
    return filled


def filled(model, **fields):
    """A model of the vendor with these fields, as JSON; every other field is null."""
    made = model()
    for name, value in fields.items():
        setattr(made, name, value)
    return made._serialize(allow_none=True)


class Engine:
    """One engine of the service."""

    def __init__(self, image="image-old", generation="SuperSQL", exec_type="SQL"):
        self.image, self.generation, self.exec_type = image, generation, exec_type


class VerifyingService:
    """Listens on loopback, verifies, and answers with the vendor's models."""

    all_verified, all_refused = 0, 0

    def __init__(self, engines, secret_id, secret_key, token=None, ahead=0, server_side=None):
        self.engines = engines
        self.known = {secret_id: (secret_key, token)}
        self.ahead = ahead
        self.received, self.verified, self.refused = [], [], []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.host = "127.0.0.1:%d" % self.server.server_port
        if server_side:
            self.server.socket = server_side.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        VerifyingService.all_verified += len(self.verified)
        VerifyingService.all_refused += len(self.refused)
        self.server.shutdown()
        self.server.server_close()

    @classmethod
    def counted(cls):
        """The number of requests to all services of the suite."""
        return f"{cls.all_verified} requests of dlc-fleet were verified, {cls.all_refused} refused as expected"

    def now(self):
        """The service's clock."""
        return time.time() + self.ahead

    def answer(self, received):
        """The answer to one request."""
        with self.lock:
            self.received.append(received)
            try:
                verify(received, self.known, self.now())
                response = self.act(received)
                self.verified.append(received)
            except Refused as refusal:
                self.refused.append(refusal.args)
                code, message = refusal.args
                response = {"Error": {"Code": code, "Message": message}}
        return {"Response": {**response, "RequestId": str(uuid.uuid4())}}

    def act(self, received):
        """Carries out an action."""
        action = received.header("X-TC-Action")
        known = {
            "DescribeDataEngines": self.list_engines,
            "DescribeDataEngineImageVersions": self.list_images,
            "SwitchDataEngineImage": self.switch,
            "GetCallerIdentity": self.identify,
            "AssumeRole": self.assume_role,
            "AssumeRoleWithWebIdentity": self.assume_role_with_web_identity,
        }
        if action not in known:
            raise Refused("InvalidAction", action)
        return known[action](received.body)

    def list_engines(self, body):
        """One page of one kind."""
        page = request_of(models.DescribeDataEnginesRequest, body)
        kind = (page.EngineGeneration or "SuperSQL", page.EngineExecType or "SQL")
        of_kind = [
            (name, engine) for name, engine in self.engines.items() if (engine.generation, engine.exec_type) == kind
        ]
        begin = page.Offset or 0
        shown = of_kind[begin : begin + (page.Limit or 10)]
        records = [record(name, engine, number % 2) for number, (name, engine) in enumerate(shown)]
        return filled(models.DescribeDataEnginesResponse, DataEngines=records or None, TotalCount=len(of_kind))

    def list_images(self, body):
        """Two images of a type."""
        engine_type = request_of(models.DescribeDataEngineImageVersionsRequest, body).EngineType
        sample = shape.sample_answer("DescribeDataEngineImageVersions", 0)["ImageParentVersions"][0]
        fields = {"EngineType": engine_type, "State": ONLINE}
        images = [{**sample, **fields, "ImageVersionId": name} for name in ("image-old", "image-new")]
        return filled(models.DescribeDataEngineImageVersionsResponse, ImageParentVersions=images, Total=len(images))

    def switch(self, body):
        """Switches an engine at once."""
        wanted = request_of(models.SwitchDataEngineImageRequest, body)
        if wanted.DataEngineId not in self.engines:
            raise Refused("ResourceNotFound.DataEngineNotFound", wanted.DataEngineId)
        self.engines[wanted.DataEngineId].image = wanted.NewImageVersionId
        return filled(models.SwitchDataEngineImageResponse)

    def identify(self, body):
        """The identity of the caller."""
        request_of(sts_models.GetCallerIdentityRequest, body)
        fields = {"AccountId": ACCOUNT, "UserId": ACCOUNT, "PrincipalId": ACCOUNT, "Type": "CAMUser"}
        arn = f"qcs::cam::uin/{ACCOUNT}:uin/{ACCOUNT}"
        return filled(sts_models.GetCallerIdentityResponse, Arn=arn, **fields)

    def assume_role(self, body):
        """Issues keys of a role."""
        return self.issue_keys(request_of(sts_models.AssumeRoleRequest, body))

    def assume_role_with_web_identity(self, body):
        """Issues keys of a role to a caller without keys."""
        return self.issue_keys(request_of(sts_models.AssumeRoleWithWebIdentityRequest, body))

    def issue_keys(self, wanted):
        """Issues keys that are accepted from now on."""
        if not wanted.RoleArn.startswith("qcs::cam::uin/"):
            raise Refused("ResourceNotFound.RoleNotFound", wanted.RoleArn)
        secret_id, secret_key, token = (f"{kind}-{uuid.uuid4().hex}" for kind in ("AKID", "key", "token"))
        self.known[secret_id] = (secret_key, token)
        expires = int(self.now()) + (wanted.DurationSeconds or 7200)
        keys = filled(sts_models.Credentials, Token=token, TmpSecretId=secret_id, TmpSecretKey=secret_key)
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        fields = {"ExpiredTime": expires, "Expiration": expiration}
        return filled(sts_models.AssumeRoleResponse, Credentials=keys, **fields)


def record(name, engine, like_sample):
    """An engine as a listing shows it; the other fields are as in the vendor's sample response, or null."""
    fields = {
        "DataEngineId": name,
        "DataEngineName": name.lower(),
        "EngineTypeDetail": "SparkSQL",
        "EngineGeneration": engine.generation,
        "EngineExecType": engine.exec_type,
        "State": RUNNING,
        "ImageVersionId": engine.image,
    }
    if like_sample:
        return {**shape.sample_answer("DescribeDataEngines", 1)["DataEngines"][0], **fields}
    return filled(models.DataEngineInfo, **fields)


def handler_of(service):
    """The request handler of the standard library's server for a service."""

    class Connection(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self):
            """Reads a request and answers with the date of the service."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = service.answer(Received(self.command, self.path, self.headers.items(), body))
            answer = json.dumps(answer).encode()
            self.send_response_only(200)
            self.send_header("Date", formatdate(service.now(), usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Writes no log."""

    return Connection
