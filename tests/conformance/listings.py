"""The vendor's SDK lists engines and images: defaults that hide, filters, pages, and every field of every answer."""

from tencentcloud.dlc.v20210125 import models

import sdk
import shape
import stage
from suite import case, case_for_each, holds, same

ENGINE_TYPES = ("SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto")


def client():
    """A client whose calls pass the gateway."""
    return sdk.client(stage.shared())


def listed(**fields):
    """The engines on one page of a hundred."""
    return sdk.engines(client(), Limit=100, **fields).DataEngines or []


def all_engines():
    """Every engine, as the SDK lists them."""
    return sdk.every_engine(client())


def of_no_kind(engines, **fields):
    """Those that lack one of these values."""
    return [engine for engine in engines if any(getattr(engine, name) != value for name, value in fields.items())]


@case
def four_kinds_together_show_every_engine_once():
    seen = sorted(engine.DataEngineId for engine in all_engines())
    there = sorted(sum(stage.shared().stats()["engines_by_image"].values(), []))
    same(seen, there)
    return f"{len(seen)} engines"


@case
def an_empty_request_shows_ten_supersql_engines_for_sql_and_no_gateway():
    page = sdk.engines(client())
    same(len(page.DataEngines), 10)
    same(of_no_kind(page.DataEngines, EngineGeneration="SuperSQL", EngineExecType="SQL"), [])
    holds(page.TotalCount > 10, "there are more than ten")
    holds("kyuubi" not in {engine.EngineType for engine in page.DataEngines}, "a gateway is listed")


@case_for_each(
    [
        (f"{generation} {exec_type}", generation, exec_type)
        for generation in ("SuperSQL", "Native")
        for exec_type in ("SQL", "BATCH")
    ]
)
def a_kind_shows_only_itself(generation, exec_type):
    engines = listed(EngineGeneration=generation, EngineExecType=exec_type)
    holds(engines, "there are engines of this kind")
    same(of_no_kind(engines, EngineGeneration=generation, EngineExecType=exec_type), [])


@case
def types_narrow_the_listing():
    engines = listed(EngineType="presto", EngineTypeDetail="PrestoSQL")
    holds(engines, "there are presto engines")
    same(of_no_kind(engines, EngineType="presto", EngineTypeDetail="PrestoSQL"), [])
    same(listed(EngineType="kyuubi"), [])


@case
def a_page_beyond_the_end_is_empty_and_counts_all_the_same():
    page = sdk.engines(client(), Offset=10_000)
    same(page.DataEngines, None)
    same(page.TotalCount, sdk.engines(client()).TotalCount)


@case
def sorting_goes_the_wrong_way_round_as_documented():
    def times(**fields):
        return [engine.CreateTime for engine in listed(SortBy="create-time", **fields)]

    same(times(Sorting="desc"), sorted(times()))
    same(times(Sorting="asc"), sorted(times(), reverse=True))
    same(times(), times(Sorting="asc"))
    same(len(set(times())), len(listed()))


def filters_of(engine):
    """Every documented filter with a value that this engine has."""
    return {
        "data-engine-name": engine.DataEngineName,
        "engine-type": engine.EngineType,
        "state": str(engine.State),
        "mode": str(engine.Mode),
        "create-time": str(engine.CreateTime),
        "message": engine.Message or "",
        "cluster-type": engine.ClusterType,
        "engine-id": engine.DataEngineId,
        "key-word": engine.DataEngineName,
        "engine-exec-type": engine.EngineExecType,
        "engine-network-id": engine.EngineNetworkId,
    }


@case_for_each([(name, name) for name in filters_of(models.DataEngineInfo())])
def a_documented_filter_finds_the_engine(name):
    engine = listed()[3]
    value = filters_of(engine)[name]
    found = [found.DataEngineId for found in listed(Filters=[sdk.filter_of(name, [value])])]
    holds(engine.DataEngineId in found, f"{name} = {value!r} does not find {engine.DataEngineId}")


@case_for_each([(name, name) for name in ("data-engine-name", "engine-id", "key-word", "create-time")])
def a_filter_by_what_is_unique_finds_nothing_else(name):
    engine = listed()[3]
    found = listed(Filters=[sdk.filter_of(name, [filters_of(engine)[name]])])
    same([found.DataEngineId for found in found], [engine.DataEngineId])


@case_for_each(
    [
        ("EQ looks at the first value only", "EQ", [1, 2], [1]),
        ("none is EQ", None, [1, 2], [1]),
        ("IN looks at all", "IN", [1, 2], [1, 2]),
        ("NE takes the others", "NE", [1, 2], [0, 2, 3]),
        ("LIKE takes a part", "LIKE", [1], [1]),
        ("GT", "GT", [1], [2, 3]),
        ("GE", "GE", [1], [1, 2, 3]),
        ("LT", "LT", [1], [0]),
        ("LE", "LE", [1], [0, 1]),
    ]
)
def an_operator_does_what_it_is_documented_to(operator, asked, expected):
    ids = sorted(engine.DataEngineId for engine in listed())[:4]
    values = [ids[number] for number in asked]
    if operator == "LIKE":
        values = [values[0].removeprefix("DataEngine-")]
    found = {engine.DataEngineId for engine in listed(Filters=[sdk.filter_of("engine-id", values, operator)])}
    same([number for number, engine in enumerate(ids) if engine in found], expected)


@case
def filters_are_joined_by_and():
    engine = listed()[3]
    by_id = sdk.filter_of("engine-id", [engine.DataEngineId])
    same(len(listed(Filters=[by_id, sdk.filter_of("state", ["2"])])), 1)
    same(len(listed(Filters=[by_id, sdk.filter_of("state", ["1"])])), 0)


@case_for_each(
    [
        ("a limit above a hundred", {"Limit": 101}, "InvalidParameterValue"),
        ("no limit at all", {"Limit": 0}, "InvalidParameterValue"),
        ("a negative offset", {"Offset": -1}, "InvalidParameterValue"),
        ("a limit in quotes", {"Limit": "10"}, "InvalidParameter"),
        ("an offset that is a fraction", {"Offset": 1.5}, "InvalidParameter"),
        ("an unknown generation", {"EngineGeneration": "Serverless"}, "InvalidParameterValue"),
        ("an unknown type of execution", {"EngineExecType": "STREAM"}, "InvalidParameterValue"),
        ("a flag that is a word", {"ExcludePublicEngine": "yes"}, "InvalidParameter"),
        ("filters that are no list", {"Filters": {"Name": "state"}}, "InvalidParameter"),
        ("a filter that is no object", {"Filters": ["state"]}, "InvalidParameter"),
        ("a filter without values", {"Filters": [{"Name": "state"}]}, "MissingParameter"),
        ("a filter with no value", {"Filters": [{"Name": "state", "Values": []}]}, "InvalidParameterValue"),
        ("a filter with a number", {"Filters": [{"Name": "state", "Values": [2]}]}, "InvalidParameter"),
        ("an unknown filter", {"Filters": [{"Name": "colour", "Values": ["2"]}]}, "InvalidParameterValue"),
        (
            "an unknown operator",
            {"Filters": [{"Name": "state", "Values": ["2"], "Operator": "IS"}]},
            "InvalidParameterValue",
        ),
        ("six filters", {"Filters": 6 * [{"Name": "state", "Values": ["2"]}]}, "InvalidParameterValue"),
        ("51 values", {"Filters": [{"Name": "state", "Values": 51 * ["2"]}]}, "InvalidParameterValue"),
        ("an unknown parameter", {"Page": 1}, "UnknownParameter"),
        ("nulls", {"Limit": None, "Filters": None, "EngineType": None}, "ok"),
        ("parameters that change nothing", {"ListHasListener": False, "AccessTypes": ["USE"]}, "ok"),
    ]
)
def a_parameter_gets_the_code_of_what_is_wrong_with_it(parameters, code):
    same(sdk.outcome(lambda: client().call_json("DescribeDataEngines", parameters)), code)


@case
def an_answer_with_engines_is_what_the_model_documents():
    for generation in ("SuperSQL", "Native"):
        asked = {"EngineGeneration": generation, "EngineExecType": "BATCH"}
        answer = client().call_json("DescribeDataEngines", asked)["Response"]
        same(shape.faults(models.DescribeDataEnginesResponse, answer), [])


@case
def an_answer_without_engines_is_what_the_model_documents():
    answer = client().call_json("DescribeDataEngines", {"EngineType": "kyuubi"})["Response"]
    same(shape.faults(models.DescribeDataEnginesResponse, answer), [])


@case_for_each([(engine_type, engine_type) for engine_type in ENGINE_TYPES])
def images_of_a_type_are_what_the_model_documents(engine_type):
    answer = client().call_json("DescribeDataEngineImageVersions", {"EngineType": engine_type})["Response"]
    same(shape.faults(models.DescribeDataEngineImageVersionsResponse, answer), [])
    same(answer["Total"], len(answer["ImageParentVersions"]))
    same({image["EngineType"] for image in answer["ImageParentVersions"]}, {engine_type})


@case
def every_engine_runs_an_image_of_its_type():
    ids = {name: {image.ImageVersionId for image in sdk.images(client(), name)} for name in ENGINE_TYPES}
    for engine in all_engines():
        holds(engine.ImageVersionId in ids[engine.EngineTypeDetail], f"{engine} runs a foreign image")


@case
def images_come_newest_first_unless_asked_otherwise():
    def times(sort, **fields):
        return [getattr(image, sort) for image in sdk.images(client(), "SparkSQL", Sort=sort, **fields)]

    for sort in ("InsertTime", "UpdateTime"):
        same(times(sort), sorted(times(sort), reverse=True))
        same(times(sort, Asc=True), sorted(times(sort)))
    holds(len(set(times("InsertTime"))) > 1, "the images were not all inserted at once")


@case_for_each(
    [
        ("no type", {}, "MissingParameter"),
        ("an unknown type", {"EngineType": "SQL"}, "InvalidParameterValue"),
        ("a type that is a number", {"EngineType": 1}, "InvalidParameter"),
        ("a direction that is a word", {"EngineType": "SparkSQL", "Asc": "true"}, "InvalidParameter"),
        ("an unknown order", {"EngineType": "SparkSQL", "Sort": "Colour"}, "InvalidParameterValue"),
        ("an unknown parameter", {"EngineType": "SparkSQL", "Limit": 10}, "UnknownParameter"),
    ]
)
def a_question_for_images_gets_the_code_of_what_is_wrong_with_it(parameters, code):
    same(sdk.outcome(lambda: client().call_json("DescribeDataEngineImageVersions", parameters)), code)
