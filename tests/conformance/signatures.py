"""The vendor's SDK sends requests with valid signatures, and with one problem each."""

from datetime import datetime, timedelta, timezone

import processes
import sdk
from suite import case, case_for_each, same

WRONG = "AuthFailure.SignatureFailure"


def listing(client):
    """The result of a listing: `ok` if its signature is valid."""
    return sdk.outcome(lambda: sdk.engines(client))


def with_header(name, value):
    """Sets a header after the request was signed."""
    return lambda request: request.header.__setitem__(name, value)


def without_header(name):
    """Removes a header after the request was signed."""
    return lambda request: request.header.pop(name)


def in_authorization(old, new):
    """Changes the Authorization header."""

    def tamper(request):
        before = request.header["Authorization"]
        request.header["Authorization"] = before.replace(old, new)
        assert request.header["Authorization"] != before, f"{old} is not in {before}"

    return tamper


def longer_body(request):
    """Adds a space, which changes only the bytes."""
    request.data += " "


def last_digit(request):
    """Changes the last digit of the signature."""
    before = request.header["Authorization"]
    request.header["Authorization"] = before[:-1] + ("0" if before[-1] != "0" else "1")


def scope_of_another_day(days):
    """Moves the date of the scope away from that of the timestamp."""

    def tamper(request):
        moment = datetime.fromtimestamp(int(request.header["X-TC-Timestamp"]), timezone.utc)
        today, another = (f"{moment + timedelta(days=off):%Y-%m-%d}" for off in (0, days))
        in_authorization(today, another)(request)

    return tamper


@case
def a_request_signed_by_the_sdk_is_accepted():
    same(listing(sdk.client(processes.shared())), "ok")


@case_for_each([(f"{seconds} s off", seconds) for seconds in (-270, 270)])
def a_timestamp_within_five_minutes_is_accepted(seconds):
    with sdk.signed_at(seconds):
        same(listing(sdk.client(processes.shared())), "ok")


@case_for_each([(f"{seconds} s off", seconds) for seconds in (-86_400, -330, 330, 86_400)])
def a_timestamp_more_than_five_minutes_off_is_refused(seconds):
    with sdk.signed_at(seconds):
        same(listing(sdk.client(processes.shared())), "AuthFailure.SignatureExpire")


@case_for_each(
    [
        ("body", longer_body),
        ("host", with_header("Host", "dlc.tencentcloudapi.com")),
        ("content type", with_header("Content-Type", "application/json; charset=utf-8")),
        ("timestamp", lambda request: with_header("X-TC-Timestamp", shifted(request))(request)),
        ("last digit of the signature", last_digit),
        ("date of the scope, to yesterday", scope_of_another_day(-1)),
        ("date of the scope, to tomorrow", scope_of_another_day(1)),
        ("service of the scope", in_authorization("/dlc/", "/cvm/")),
        ("end of the scope", in_authorization("tc3_request", "tc4_request")),
        ("signed headers, without the host", in_authorization("content-type;host", "content-type")),
        ("signed headers, with one that is not sent", in_authorization(";host", ";host;x-tc-nothing")),
    ]
)
def a_request_that_was_changed_after_signing_is_refused(tamper):
    same(listing(sdk.tampering(processes.shared(), tamper)), WRONG)


def shifted(request):
    """The timestamp, a second later."""
    return str(int(request.header["X-TC-Timestamp"]) + 1)


@case
def a_wrong_key_is_refused():
    same(listing(sdk.client(processes.shared(), secret_key="another-key")), WRONG)


@case
def an_unknown_secret_id_is_not_found():
    same(listing(sdk.client(processes.shared(), secret_id="AKIDunknown")), "AuthFailure.SecretIdNotFound")


@case
def an_empty_secret_id_is_not_found():
    tamper = in_authorization(f"Credential={processes.SECRET_ID}/", "Credential=/")
    same(listing(sdk.tampering(processes.shared(), tamper)), "AuthFailure.SecretIdNotFound")


@case_for_each(
    [
        ("none", without_header("Authorization")),
        ("empty", with_header("Authorization", "")),
        ("another algorithm", in_authorization("TC3-HMAC-SHA256", "TC3-HMAC-SM3")),
        ("no signature", in_authorization("Signature=", "Sign=")),
        ("a scope of two parts", in_authorization("/tc3_request", "")),
    ]
)
def a_malformed_authorization_is_invalid(tamper):
    same(listing(sdk.tampering(processes.shared(), tamper)), "AuthFailure.InvalidAuthorization")


@case
def an_unsigned_request_is_refused():
    client = sdk.client(processes.shared())
    call = lambda: client.call_json("DescribeDataEngines", {}, options={"SkipSign": True})
    same(sdk.outcome(call), "AuthFailure.InvalidAuthorization")


@case_for_each([(name, name) for name in ("HmacSHA1", "HmacSHA256")])
def an_older_signature_method_is_refused(sign_method):
    client = sdk.client(processes.shared(), sign_method=sign_method)
    same(listing(client), "AuthFailure.InvalidAuthorization")


@case
def the_method_get_is_refused():
    same(listing(sdk.client(processes.shared(), method="GET")), "UnsupportedProtocol")


@case
def a_valid_token_is_accepted():
    same(listing(sdk.client(processes.shared(processes.TOKEN))), "ok")


@case_for_each(
    [
        ("wrong", processes.TOKEN, with_header("X-TC-Token", "another-token")),
        ("missing", processes.TOKEN, without_header("X-TC-Token")),
        ("where none is known", None, with_header("X-TC-Token", "another-token")),
    ]
)
def a_wrong_token_is_refused(token, tamper):
    same(listing(sdk.tampering(processes.shared(token), tamper)), "AuthFailure.TokenFailure")


@case
def the_token_is_not_signed():
    with_token = sdk.tampering(processes.shared(processes.TOKEN), with_header("X-TC-Token", processes.TOKEN), token="before")
    same(listing(with_token), "ok")


@case
def a_request_with_an_unsigned_payload_is_refused():
    client = sdk.client(processes.shared())
    client.profile.unsignedPayload = True
    same(listing(client), WRONG)


@case_for_each(
    [
        ("action", without_header("X-TC-Action"), "MissingParameter"),
        ("version", without_header("X-TC-Version"), "MissingParameter"),
        ("timestamp", without_header("X-TC-Timestamp"), "MissingParameter"),
        ("region", without_header("X-TC-Region"), "MissingParameter"),
        ("language", without_header("X-TC-Language"), "ok"),
        ("request client", without_header("X-TC-RequestClient"), "ok"),
        ("trace", without_header("X-TC-TraceId"), "ok"),
    ]
)
def a_missing_header_is_refused_if_it_is_required(tamper, code):
    same(listing(sdk.tampering(processes.shared(), tamper)), code)


@case_for_each(
    [
        ("an unknown action", with_header("X-TC-Action", "DescribeNothing"), "InvalidAction"),
        ("an action in lower case", with_header("X-TC-Action", "describedataengines"), "InvalidAction"),
        ("an unknown version", with_header("X-TC-Version", "2020-01-01"), "NoSuchVersion"),
        ("a timestamp that is no number", with_header("X-TC-Timestamp", "now"), "InvalidParameter"),
        ("a region that cannot be", with_header("X-TC-Region", "guangzhou"), "UnsupportedRegion"),
        ("another region, without engines", with_header("X-TC-Region", "ap-nowhere"), "ok"),
        ("another language", with_header("X-TC-Language", "zh-CN"), "ok"),
    ]
)
def each_wrong_header_has_its_own_code(tamper, code):
    same(listing(sdk.tampering(processes.shared(), tamper)), code)
