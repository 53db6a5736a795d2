"""Accepts a request only if the vendor's own signing code computes the same signature."""

import re
from datetime import datetime, timezone

from tencentcloud.common import credential
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.dlc.v20210125.dlc_client import DlcClient
from tencentcloud.sts.v20180813.sts_client import StsClient

AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(\S+?)/(\S+), SignedHeaders=content-type;host, Signature=([0-9a-f]{64})"
)
VALIDITY = 300

# Name of the service in signatures, by version of the API.
PRODUCTS = {client._apiVersion: client._service for client in (DlcClient, StsClient)}

# Replaces the signature if the caller has no keys yet, and the one action that accepts it.
UNSIGNED = ("SKIP", "AssumeRoleWithWebIdentity")


class Refused(Exception):
    """A refusal, with its code."""


class Received:
    """One request as it was received, unchanged."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.body = method, path, body
        self.headers = list(headers)

    def header(self, name):
        """The one value of a header."""
        values = [value for found, value in self.headers if found.lower() == name.lower()]
        if len(values) != 1:
            raise Refused("MissingParameter", f"{name} is sent {len(values)} times")
        return values[0]

    def with_header(self, name, value):
        """The same request with one header changed."""
        changed = [(found, value if found.lower() == name.lower() else before) for found, before in self.headers]
        return Received(self.method, self.path, changed, self.body)

    def with_body(self, body):
        """The same request with another body."""
        return Received(self.method, self.path, self.headers, body)


def vendors_signature(received, secret_key, date, product="dlc"):
    """The signature of a request by the vendor's code."""
    signer = DlcClient(credential.Credential("unused", secret_key), "ap-guangzhou")
    names = ("Content-Type", "Host", "X-TC-Timestamp")
    headers = {name: received.header(name) for name in names}
    request = RequestInternal("", received.method, received.path, headers, received.body)
    return signer._get_tc3_signature({}, request, date, product, secret_key)


def verify(received, known, now):
    """Refuses a request that is not signed as the vendor's code signs it, at this time, with known keys.

    `known` has the secret key and the token, or None, by SecretId.
    """
    if (received.header("Authorization"), received.header("X-TC-Action")) == UNSIGNED:
        return
    parts = AUTHORIZATION.fullmatch(received.header("Authorization"))
    if not parts:
        raise Refused("AuthFailure.InvalidAuthorization", received.header("Authorization"))
    secret_id, scope, signature = parts.groups()
    if secret_id not in known:
        raise Refused("AuthFailure.SecretIdNotFound", secret_id)
    secret_key, token = known[secret_id]
    timestamp = int(received.header("X-TC-Timestamp"))
    if abs(timestamp - now) > VALIDITY:
        raise Refused("AuthFailure.SignatureExpire", f"{timestamp - now:.0f} s off")
    date = datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")
    product = PRODUCTS.get(received.header("X-TC-Version"))
    if scope != f"{date}/{product}/tc3_request":
        raise Refused("AuthFailure.SignatureFailure", f"the scope is {scope}")
    if signature != vendors_signature(received, secret_key, date, product):
        raise Refused("AuthFailure.SignatureFailure", "the vendor's code computes another signature")
    tokens = [value for name, value in received.headers if name.lower() == "x-tc-token"]
    if tokens != ([token] if token else []):
        raise Refused("AuthFailure.TokenFailure", f"{len(tokens)} tokens were sent")
