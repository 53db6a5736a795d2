"""Compares the error codes of this tool with those of the vendor's SDK and of the vendor's list of common codes."""

import re
import textwrap

from tencentcloud.dlc.v20210125 import errorcodes
from tencentcloud.sts.v20180813 import errorcodes as sts_errorcodes

import processes
from suite import case, same

# Codes that every action may return (document 1342/53785).
COMMON_CODES = """
ActionOffline AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId AuthFailure.MFAFailure
AuthFailure.SecretIdNotFound AuthFailure.SignatureExpire AuthFailure.SignatureFailure AuthFailure.TokenFailure
AuthFailure.UnauthorizedOperation DryRunOperation FailedOperation InternalError InvalidAction InvalidParameter
InvalidParameterValue InvalidRequest IpInBlacklist IpNotInWhitelist LimitExceeded MissingParameter NoSuchProduct
NoSuchVersion RequestLimitExceeded RequestLimitExceeded.GlobalRegionUinLimitExceeded
RequestLimitExceeded.IPLimitExceeded RequestLimitExceeded.UinLimitExceeded RequestSizeLimitExceeded ResourceInUse
ResourceInsufficient ResourceNotFound ResourceUnavailable ResponseSizeLimitExceeded ServiceUnavailable
UnauthorizedOperation UnknownParameter UnsupportedOperation UnsupportedProtocol UnsupportedRegion
""".split()


def ours():
    """Every code in the table of this tool."""
    text = (processes.REPOSITORY / "src/cloud/catalogue/table.rs").read_text()
    return re.findall(r'^    "([\w.]+)" =>', text, re.MULTILINE)


def ours_for_the_switch():
    """The codes that this tool lists for SwitchDataEngineImage."""
    text = (processes.REPOSITORY / "src/cloud/catalogue.rs").read_text()
    block = re.search(r"SWITCH_CODES: \[&str; (\d+)\] = \[(.*?)\];", text, re.DOTALL)
    found = re.findall(r'"([\w.]+)"', block[2])
    same(len(found), int(block[1]))
    return found


def theirs():
    """Every code that the SDK lists for the product."""
    return listed_in(errorcodes)


def listed_in(module):
    """The codes of one product."""
    return {code for name, code in vars(module).items() if name.isupper()}


def documented():
    """Every code that the vendor documents for DLC or STS."""
    return theirs() | listed_in(sts_errorcodes) | set(COMMON_CODES)


@case
def every_code_of_the_table_is_documented_by_the_vendor():
    same(set(ours()) - theirs() - set(COMMON_CODES), set())
    only_ours, only_theirs = set(ours()) - theirs(), theirs() - set(ours())
    return (
        f"{len(ours())} codes"
        f"{listed('only in our table, all of them common codes', only_ours)}"
        f"{listed('only in the SDK, for all actions of DLC together', only_theirs)}"
    )


def listed(title, found):
    """Codes to print for review."""
    lines = textwrap.wrap(" ".join(sorted(found)), 110, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(["", f"    {title}: {len(found)}", *lines])


@case
def every_code_of_the_switch_is_in_the_sdk():
    unknown = [code for code in ours_for_the_switch() if code not in theirs()]
    same(unknown, [])
    return f"{len(ours_for_the_switch())} codes"


@case
def every_common_code_has_its_own_line():
    same([code for code in COMMON_CODES if code not in ours()], [])
    return f"{len(COMMON_CODES)} codes"


@case
def every_code_of_the_switch_has_its_own_line():
    same([code for code in ours_for_the_switch() if code not in ours()], [])
