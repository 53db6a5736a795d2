"""The vendor's SDK meets the limits of the simulator, every documented code, and lost responses."""

import concurrent.futures
import time

import codes
import processes
import sdk
from suite import case, case_for_each, holds, same

QUICK = "latency: {median: 0ms, max: 0ms}\n"
LARGEST_BODY = 10 * 1024 * 1024


def many_at_once(simulated, count):
    """The outcomes of many listings, and the seconds that they took together."""
    begun = time.monotonic()
    clients = [sdk.client(simulated) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        calls = [
            threads.submit(sdk.outcome, lambda client=clients[number % 8]: sdk.engines(client))
            for number in range(count)
        ]
        outcomes = [call.result() for call in calls]
    return outcomes, time.monotonic() - begun


@case
def more_than_twenty_calls_a_second_are_throttled():
    with processes.simulated_with(QUICK) as simulated:
        outcomes, seconds = many_at_once(simulated, 200)
    passed, throttled = outcomes.count("ok"), outcomes.count("RequestLimitExceeded")
    same(passed + throttled, 200)
    holds(20 <= passed <= 20 * (int(seconds) + 1), f"{passed} passed in {seconds:.2f} s")
    return f"{passed} passed and {throttled} were throttled in {seconds:.2f} s"


@case
def actions_do_not_share_a_limit():
    with processes.simulated_with(QUICK + "rate_limit: 1\n") as simulated:
        client = sdk.client(simulated)
        same(sdk.outcome(lambda: sdk.engines(client)), "ok")
        same(sdk.outcome(lambda: sdk.images(client, "SparkSQL")), "ok")


def body_of(size):
    """Parameters that the SDK writes as a body of this size in bytes."""
    around = len('{"DataEngineId": "", "NewImageVersionId": "x"}')
    return {"DataEngineId": "x" * (size - around), "NewImageVersionId": "x"}


@case_for_each(
    [
        ("10 MiB", LARGEST_BODY, "ResourceNotFound.DataEngineNotFound"),
        ("a byte more", LARGEST_BODY + 1, "RequestSizeLimitExceeded"),
        ("30 MiB", 3 * LARGEST_BODY, "RequestSizeLimitExceeded"),
    ]
)
def a_body_is_refused_by_its_size(size, code):
    client = sdk.client(processes.shared())
    same(sdk.outcome(lambda: client.call_json("SwitchDataEngineImage", body_of(size))), code)


@case
def every_documented_code_reaches_the_sdk():
    ours = codes.ours()
    faults = [f"  - {{fault: {code}, engines: [DataEngine-sim{number:05}]}}\n" for number, code in enumerate(ours, 1)]
    with processes.simulated_with(processes.NO_FAULTS + "faults:\n" + "".join(faults)) as simulated:
        client = sdk.client(simulated)
        found = [
            sdk.outcome(lambda number=number: sdk.switch(client, f"DataEngine-sim{number:05}", "x"))
            for number, _ in enumerate(ours, 1)
        ]
    same(found, ours)
    return f"{len(ours)} codes"


@case_for_each(
    [
        (fault, fault, code)
        for fault, code in (
            ("http-502", "ServerNetworkError"),
            ("reset-before-reading", "ClientNetworkError"),
            ("reset-after-reading", "ClientNetworkError"),
            ("close-after-reading", "ClientNetworkError"),
        )
    ]
)
def a_lost_response_is_a_network_error(fault, code):
    with processes.simulated_with(f"{processes.NO_FAULTS}faults: [{{fault: {fault}}}]\n") as simulated:
        client = sdk.client(simulated)
        same(sdk.outcome(lambda: sdk.switch(client, "DataEngine-sim00001", "x")), code)
