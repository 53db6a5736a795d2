"""Compares JSON with the vendor's models: names, types, and which fields may be null, as their documentation says."""

import inspect
import json
import pathlib
import re
import sys

import tccli

NULLABLE = "可能返回 null"  # "may be null" in the vendor's documentation
FIELD = re.compile(r":param _(\w+): (.*?)\n\s*:type \1: ([^\n]+)", re.DOTALL)
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


# The vendor's sample responses, which are older than the newest fields of the models.
EXAMPLES = pathlib.Path(tccli.__file__).parent / "services/dlc/v20210125/examples.json"
SAMPLES = EXAMPLES.read_text(encoding="utf-8")


def fields_of(model):
    """Name, type and documentation of each field of a model."""
    return {name: (kind, text) for name, text, kind in FIELD.findall(inspect.getdoc(model.__init__) or "")}


def faults(model, found, place=""):
    """The differences between a JSON object and a model. Fields may be absent: the SDK reads them as None."""
    fields = fields_of(model)
    place = place or model.__name__
    unknown = [f"{place}.{name} is not in the SDK" for name in found if name not in fields]
    wrong = []
    for name, (kind, text) in fields.items():
        if name in found:
            wrong += field_faults(model, kind.strip(), NULLABLE in text, found[name], f"{place}.{name}")
    return unknown + wrong


def sample_answer(action, number):
    """The vendor's sample response of an action."""
    return json.loads(json.loads(SAMPLES)["actions"][action][number]["output"])["Response"]


def field_faults(model, kind, nullable, value, place):
    """The differences between a value and the type of its field."""
    if value is None:
        return [] if nullable else [f"{place} is null, which is not documented"]
    if kind.startswith("list of "):
        if not isinstance(value, list):
            return [f"{place} is not a list"]
        inner = kind.removeprefix("list of ")
        return [fault for item in value for fault in field_faults(model, inner, False, item, place)]
    if kind in PLAIN:
        fits = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{place} is not of type {kind}: {value!r}"]
    nested = getattr(sys.modules[model.__module__], re.sub(r".*\.|`", "", kind))
    return faults(nested, value, place) if isinstance(value, dict) else [f"{place} is not an object"]
