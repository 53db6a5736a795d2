"""Holds JSON against the vendor's models: names, types, and which fields may be null, as their documentation says."""

import inspect
import json
import pathlib
import re
import sys

import tccli

NULLABLE = "可能返回 null"  # how the vendor's documentation says "may be null"
FIELD = re.compile(r":param _(\w+): (.*?)\n\s*:type \1: ([^\n]+)", re.DOTALL)
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


# The vendor's own sample answers, which are older than the newest fields of the models.
EXAMPLES = pathlib.Path(tccli.__file__).parent / "services/dlc/v20210125/examples.json"
SAMPLES = EXAMPLES.read_text(encoding="utf-8")


def fields_of(model):
    """Name, type and documentation of each field of a model."""
    return {name: (kind, text) for name, text, kind in FIELD.findall(inspect.getdoc(model.__init__) or "")}


def faults(model, found, place=""):
    """What is wrong with a JSON object that should be one of these."""
    fields = fields_of(model)
    place = place or model.__name__
    unknown = [f"{place}.{name} is not known to the SDK" for name in found if name not in fields]
    absent = [f"{place}.{name} is absent" for name in fields if name not in found and in_samples(name)]
    wrong = []
    for name, (kind, text) in fields.items():
        if name in found:
            wrong += field_faults(model, kind.strip(), NULLABLE in text, found[name], f"{place}.{name}")
    return unknown + absent + wrong


def in_samples(name):
    """Whether a sample answer of the vendor's has such a field."""
    return f'\\"{name}\\"' in SAMPLES


def sample_answer(action, number):
    """What the vendor shows as the answer to an action."""
    return json.loads(json.loads(SAMPLES)["actions"][action][number]["output"])["Response"]


def sample_of(kind):
    """A value of a type of the vendor's documentation that says nothing."""
    kind = kind.strip()
    if kind.startswith("list of "):
        return []
    return {"str": "", "int": 1, "bool": False, "float": 0.5}.get(kind, {})


def field_faults(model, kind, nullable, value, place):
    """What is wrong with the value of one field."""
    if value is None:
        return [] if nullable else [f"{place} is null and not documented to be"]
    if kind.startswith("list of "):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        inner = kind.removeprefix("list of ")
        return [fault for item in value for fault in field_faults(model, inner, False, item, place)]
    if kind in PLAIN:
        fits = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{place} is no {kind}: {value!r}"]
    nested = getattr(sys.modules[model.__module__], re.sub(r".*\.|`", "", kind))
    return faults(nested, value, place) if isinstance(value, dict) else [f"{place} is no object"]
