"""Collects cases, runs them one after the other, prints a line for each and counts them."""

import functools
import time
import traceback

CASES = []


def case(function):
    """Registers a function as a case; its name says what it shows."""
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
    """The name of a case: its module and its function as words."""
    module = function.__module__.replace("_", " ")
    return f"{module}: {function.__name__.replace('_', ' ')}"


def run(modules, text, summary):
    """Runs the cases of each module whose name contains the text; true if none failed. The counts come last."""
    counts = {"passed": 0, "FAILED": 0}
    start = time.monotonic()
    order = [module.__name__ for module in modules]
    for _, sentence, function in sorted(CASES, key=lambda registered: order.index(registered[0])):
        if text in sentence:
            outcome, note = run_case(function)
            counts[outcome] += 1
            print(f"{outcome:7} {sentence}{note}", flush=True)
    print(f"\n{summary()}, in {time.monotonic() - start:.0f} s")
    print(f"{counts['passed']} passed, {counts['FAILED']} failed", flush=True)
    return counts["FAILED"] == 0 and counts["passed"] > 0


def run_case(function):
    """The outcome of one case, and a note for its line."""
    try:
        note = function()
    except Exception:  # every error in a case is a failure of the case
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
