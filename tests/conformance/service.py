"""A small service that lets a request pass only if the vendor's own signing code makes the same signature of it."""

import json
import re
import threading
import time
import uuid
import warnings
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tencentcloud.common import credential
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.dlc.v20210125 import models
from tencentcloud.dlc.v20210125.dlc_client import DlcClient

import shape

AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(\S+?)/(\S+), SignedHeaders=content-type;host, Signature=([0-9a-f]{64})"
)
VALIDITY = 300
RUNNING = 2
ONLINE = 2


class Refused(Exception):
    """A refusal, with its code."""


class Received:
    """One request as it came over the wire, before anything made it look nicer."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.body = method, path, body
        self.headers = list(headers)

    def header(self, name):
        """The one value of a header."""
        values = [value for found, value in self.headers if found.lower() == name.lower()]
        if len(values) != 1:
            raise Refused("MissingParameter", f"{name} comes {len(values)} times")
        return values[0]

    def with_header(self, name, value):
        """The same request with one header changed."""
        changed = [(found, value if found.lower() == name.lower() else before) for found, before in self.headers]
        return Received(self.method, self.path, changed, self.body)

    def with_body(self, body):
        """The same request with another body."""
        return Received(self.method, self.path, self.headers, body)


def vendors_signature(received, secret_key, date, product="dlc"):
    """What the vendor's code makes of a request."""
    signer = DlcClient(credential.Credential("unused", secret_key), "ap-guangzhou")
    names = ("Content-Type", "Host", "X-TC-Timestamp")
    headers = {name: received.header(name) for name in names}
    request = RequestInternal("", received.method, received.path, headers, received.body)
    return signer._get_tc3_signature({}, request, date, product, secret_key)


def verify(received, secret_id, secret_key, token, now):
    """Refuses a request that is not signed as the vendor's code would sign it, now, with these keys."""
    parts = AUTHORIZATION.fullmatch(received.header("Authorization"))
    if not parts:
        raise Refused("AuthFailure.InvalidAuthorization", received.header("Authorization"))
    if parts[1] != secret_id:
        raise Refused("AuthFailure.SecretIdNotFound", parts[1])
    timestamp = int(received.header("X-TC-Timestamp"))
    if abs(timestamp - now) > VALIDITY:
        raise Refused("AuthFailure.SignatureExpire", f"{timestamp - now:.0f} s off")
    date = datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")
    if parts[2] != f"{date}/dlc/tc3_request":
        raise Refused("AuthFailure.SignatureFailure", f"the scope is {parts[2]}")
    if parts[3] != vendors_signature(received, secret_key, date):
        raise Refused("AuthFailure.SignatureFailure", "the vendor's code signs it otherwise")
    tokens = [value for name, value in received.headers if name.lower() == "x-tc-token"]
    if tokens != ([token] if token else []):
        raise Refused("AuthFailure.TokenFailure", f"{len(tokens)} tokens came")


def asked(model, body):
    """The vendor's model of a request. A field that the model does not know is refused."""
    filled = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            filled.from_json_string(body.decode())
        except Warning as unknown:
            raise Refused("UnknownParameter", str(unknown)) from unknown
    return filled


def filled(model, **fields):
    """A model of the vendor's with these fields, as JSON holds it: every other field is null."""
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
        self.keys = (secret_id, secret_key, token)
        self.ahead = ahead
        self.received, self.verified, self.refused = [], [], []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), door_of(self))
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
        """What all services of the suite saw together."""
        return f"{cls.all_verified} requests of ours were verified, {cls.all_refused} refused as they should be"

    def now(self):
        """The service's clock."""
        return time.time() + self.ahead

    def answer(self, received):
        """The answer to one request."""
        with self.lock:
            self.received.append(received)
            try:
                verify(received, *self.keys, self.now())
                response = self.act(received)
                self.verified.append(received)
            except Refused as refusal:
                self.refused.append(refusal.args)
                code, message = refusal.args
                response = {"Error": {"Code": code, "Message": message}}
        return {"Response": {**response, "RequestId": str(uuid.uuid4())}}

    def act(self, received):
        """Does what an action is for."""
        action = received.header("X-TC-Action")
        known = {
            "DescribeDataEngines": self.list_engines,
            "DescribeDataEngineImageVersions": self.list_images,
            "SwitchDataEngineImage": self.switch,
        }
        if action not in known:
            raise Refused("InvalidAction", action)
        return known[action](received.body)

    def list_engines(self, body):
        """One page of one kind."""
        page = asked(models.DescribeDataEnginesRequest, body)
        kind = (page.EngineGeneration or "SuperSQL", page.EngineExecType or "SQL")
        of_kind = [
            (name, engine) for name, engine in self.engines.items() if (engine.generation, engine.exec_type) == kind
        ]
        begin = page.Offset or 0
        shown = of_kind[begin : begin + (page.Limit or 10)]
        records = [record(name, engine, number % 2) for number, (name, engine) in enumerate(shown)]
        return filled(models.DescribeDataEnginesResponse, DataEngines=records or None, TotalCount=len(of_kind))

    def list_images(self, body):
        """Two images of whichever type."""
        engine_type = asked(models.DescribeDataEngineImageVersionsRequest, body).EngineType
        sample = shape.sample_answer("DescribeDataEngineImageVersions", 0)["ImageParentVersions"][0]
        fields = {"EngineType": engine_type, "State": ONLINE}
        images = [{**sample, **fields, "ImageVersionId": name} for name in ("image-old", "image-new")]
        return filled(models.DescribeDataEngineImageVersionsResponse, ImageParentVersions=images, Total=len(images))

    def switch(self, body):
        """Moves an engine at once."""
        wanted = asked(models.SwitchDataEngineImageRequest, body)
        if wanted.DataEngineId not in self.engines:
            raise Refused("ResourceNotFound.DataEngineNotFound", wanted.DataEngineId)
        self.engines[wanted.DataEngineId].image = wanted.NewImageVersionId
        return filled(models.SwitchDataEngineImageResponse)


def record(name, engine, like_sample):
    """What the listing says of an engine, with the rest as in the vendor's sample answer, or null."""
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


def door_of(service):
    """The class through which the standard library's server hands requests to a service."""

    class Door(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self):
            """Reads a request, and answers with the service's date."""
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
            """Says nothing."""

    return Door
