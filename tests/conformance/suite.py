"""Collects cases, runs them one after the other, prints a line for each and counts them."""

import functools
import time
import traceback

CASES = []


def case(function):
    """Registers a function as a case; its name is the claim."""
    CASES.append((function.__module__, claim(function), function))
    return function


def case_for_each(rows):
    """Registers a function once for each row of (label, arguments...)."""

    def register(function):
        for label, *arguments in rows:
            sentence = f"{claim(function)}: {label}"
            CASES.append((function.__module__, sentence, functools.partial(function, *arguments)))
        return function

    return register


def claim(function):
    """The room and the sentence that a case stands for."""
    room = function.__module__.replace("_", " ")
    return f"{room}: {function.__name__.replace('_', ' ')}"


def run(rooms, word, closing):
    """Runs the cases of each room whose claim holds the word; true when none failed. The counts come last."""
    counts = {"passed": 0, "FAILED": 0}
    begun = time.monotonic()
    order = [room.__name__ for room in rooms]
    for _, sentence, function in sorted(CASES, key=lambda registered: order.index(registered[0])):
        if word in sentence:
            outcome, note = judge(function)
            counts[outcome] += 1
            print(f"{outcome:7} {sentence}{note}", flush=True)
    print(f"\n{closing()}, in {time.monotonic() - begun:.0f} s")
    print(f"{counts['passed']} passed, {counts['FAILED']} failed", flush=True)
    return counts["FAILED"] == 0 and counts["passed"] > 0


def judge(function):
    """The outcome of one case, and what is to be added to its line."""
    try:
        note = function()
    except Exception:  # whatever goes wrong in a case is that case's failure
        return "FAILED", "\n" + traceback.format_exc()[-3000:]
    return "passed", f" ({note})" if note else ""


def same(found, expected):
    """Fails unless both are equal, and shows both."""
    if found != expected:
        raise AssertionError(f"found    {found!r}\nexpected {expected!r}")


def holds(condition, what):
    """Fails unless the condition holds."""
    if not condition:
        raise AssertionError(what)
