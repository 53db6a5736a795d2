"""The vendor's SDK calls the simulator with signatures that are good, or wrong in one way each."""

from datetime import datetime, timedelta, timezone

import sdk
import stage
from suite import case, case_for_each, same

WRONG = "AuthFailure.SignatureFailure"


def listing(client):
    """A call that succeeds when nothing is wrong with its signature."""
    return sdk.outcome(lambda: sdk.engines(client))


def with_header(name, value):
    """Sets a header after the request was signed."""
    return lambda request: request.header.__setitem__(name, value)


def without_header(name):
    """Takes a header away after the request was signed."""
    return lambda request: request.header.pop(name)


def in_authorization(old, new):
    """Changes the Authorization header."""

    def tamper(request):
        before = request.header["Authorization"]
        request.header["Authorization"] = before.replace(old, new)
        assert request.header["Authorization"] != before, f"{old} is not in {before}"

    return tamper


def longer_body(request):
    """Adds a space, which changes nothing but the bytes."""
    request.data += " "


def last_digit(request):
    """Changes the last digit of the signature."""
    before = request.header["Authorization"]
    request.header["Authorization"] = before[:-1] + ("0" if before[-1] != "0" else "1")


def scope_of_another_day(days):
    """Moves the date of the scope away from that of the time stamp."""

    def tamper(request):
        moment = datetime.fromtimestamp(int(request.header["X-TC-Timestamp"]), timezone.utc)
        today, another = (f"{moment + timedelta(days=off):%Y-%m-%d}" for off in (0, days))
        in_authorization(today, another)(request)

    return tamper


@case
def a_request_signed_by_the_sdk_is_taken():
    same(listing(sdk.client(stage.shared())), "ok")


@case_for_each([(f"{seconds} s off", seconds) for seconds in (-270, 270)])
def a_time_stamp_within_five_minutes_is_taken(seconds):
    with sdk.signed_at(seconds):
        same(listing(sdk.client(stage.shared())), "ok")


@case_for_each([(f"{seconds} s off", seconds) for seconds in (-86_400, -330, 330, 86_400)])
def a_time_stamp_more_than_five_minutes_off_has_expired(seconds):
    with sdk.signed_at(seconds):
        same(listing(sdk.client(stage.shared())), "AuthFailure.SignatureExpire")


@case_for_each(
    [
        ("body", longer_body),
        ("host", with_header("Host", "dlc.tencentcloudapi.com")),
        ("content type", with_header("Content-Type", "application/json; charset=utf-8")),
        ("time stamp", lambda request: with_header("X-TC-Timestamp", shifted(request))(request)),
        ("last digit of the signature", last_digit),
        ("date of the scope, to yesterday", scope_of_another_day(-1)),
        ("date of the scope, to tomorrow", scope_of_another_day(1)),
        ("service of the scope", in_authorization("/dlc/", "/cvm/")),
        ("end of the scope", in_authorization("tc3_request", "tc4_request")),
        ("signed headers, without the host", in_authorization("content-type;host", "content-type")),
        ("signed headers, with one that is not sent", in_authorization(";host", ";host;x-tc-nothing")),
    ]
)
def what_was_changed_after_signing_fails(tamper):
    same(listing(sdk.tampering(stage.shared(), tamper)), WRONG)


def shifted(request):
    """The time stamp, a second later."""
    return str(int(request.header["X-TC-Timestamp"]) + 1)


@case
def a_wrong_key_fails():
    same(listing(sdk.client(stage.shared(), secret_key="another-key")), WRONG)


@case
def an_unknown_secret_id_is_not_found():
    same(listing(sdk.client(stage.shared(), secret_id="AKIDnobody")), "AuthFailure.SecretIdNotFound")


@case
def an_empty_secret_id_is_not_found():
    tamper = in_authorization(f"Credential={stage.SECRET_ID}/", "Credential=/")
    same(listing(sdk.tampering(stage.shared(), tamper)), "AuthFailure.SecretIdNotFound")


@case_for_each(
    [
        ("none", without_header("Authorization")),
        ("empty", with_header("Authorization", "")),
        ("another algorithm", in_authorization("TC3-HMAC-SHA256", "TC3-HMAC-SM3")),
        ("no signature", in_authorization("Signature=", "Sign=")),
        ("a scope of two parts", in_authorization("/tc3_request", "")),
    ]
)
def a_malformed_authorization_is_called_invalid(tamper):
    same(listing(sdk.tampering(stage.shared(), tamper)), "AuthFailure.InvalidAuthorization")


@case
def an_unsigned_call_is_not_authorized():
    client = sdk.client(stage.shared())
    call = lambda: client.call_json("DescribeDataEngines", {}, options={"SkipSign": True})
    same(sdk.outcome(call), "AuthFailure.InvalidAuthorization")


@case_for_each([(name, name) for name in ("HmacSHA1", "HmacSHA256")])
def the_old_signature_is_refused(sign_method):
    client = sdk.client(stage.shared(), sign_method=sign_method)
    same(listing(client), "AuthFailure.InvalidAuthorization")


@case
def get_is_refused_as_documented():
    same(listing(sdk.client(stage.shared(), method="GET")), "UnsupportedProtocol")


@case
def a_token_that_is_known_is_taken():
    same(listing(sdk.client(stage.shared(stage.TOKEN))), "ok")


@case_for_each(
    [
        ("wrong", stage.TOKEN, with_header("X-TC-Token", "another-token")),
        ("missing", stage.TOKEN, without_header("X-TC-Token")),
        ("where none is known", None, with_header("X-TC-Token", "another-token")),
    ]
)
def a_token_that_is_not_the_one_fails(token, tamper):
    same(listing(sdk.tampering(stage.shared(token), tamper)), "AuthFailure.TokenFailure")


@case
def the_token_is_no_part_of_the_signature():
    with_token = sdk.tampering(stage.shared(stage.TOKEN), with_header("X-TC-Token", stage.TOKEN), token="before")
    same(listing(with_token), "ok")


@case
def a_payload_declared_unsigned_is_taken():
    client = sdk.client(stage.shared())
    client.profile.unsignedPayload = True
    same(listing(client), "ok")


@case
def a_payload_declared_unsigned_may_change():
    client = sdk.tampering(stage.shared(), longer_body)
    client.profile.unsignedPayload = True
    same(listing(client), "ok")


@case
def a_payload_declared_unsigned_after_signing_fails():
    tamper = with_header("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD")
    same(listing(sdk.tampering(stage.shared(), tamper)), WRONG)


@case_for_each(
    [
        ("action", without_header("X-TC-Action"), "MissingParameter"),
        ("version", without_header("X-TC-Version"), "MissingParameter"),
        ("time stamp", without_header("X-TC-Timestamp"), "MissingParameter"),
        ("region", without_header("X-TC-Region"), "MissingParameter"),
        ("language", without_header("X-TC-Language"), "ok"),
        ("request client", without_header("X-TC-RequestClient"), "ok"),
        ("trace", without_header("X-TC-TraceId"), "ok"),
    ]
)
def a_missing_header_is_missed_where_it_is_needed(tamper, code):
    same(listing(sdk.tampering(stage.shared(), tamper)), code)


@case_for_each(
    [
        ("an unknown action", with_header("X-TC-Action", "DescribeNothing"), "InvalidAction"),
        ("an action in lower case", with_header("X-TC-Action", "describedataengines"), "InvalidAction"),
        ("an unknown version", with_header("X-TC-Version", "2020-01-01"), "NoSuchVersion"),
        ("a time stamp that is no number", with_header("X-TC-Timestamp", "now"), "InvalidParameter"),
        ("a region that cannot be", with_header("X-TC-Region", "guangzhou"), "UnsupportedRegion"),
        ("another region, without engines", with_header("X-TC-Region", "ap-nowhere"), "ok"),
        ("another language", with_header("X-TC-Language", "zh-CN"), "ok"),
    ]
)
def a_header_with_another_value_gets_its_own_code(tamper, code):
    same(listing(sdk.tampering(stage.shared(), tamper)), code)
