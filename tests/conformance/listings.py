"""The vendor's SDK lists engines and images: defaults, pages, the filter by id, and refusals of everything else."""

from tencentcloud.dlc.v20210125 import models

import processes
import sdk
import shape
from suite import case, case_for_each, holds, same

ENGINE_TYPES = ("SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto")


def client():
    """A client with valid keys."""
    return sdk.client(processes.shared())


def listed(**fields):
    """The engines on one page of a hundred."""
    return sdk.engines(client(), Limit=100, **fields).DataEngines or []


def different(engines, **fields):
    """The engines that do not have all of these values."""
    return [engine for engine in engines if any(getattr(engine, name) != value for name, value in fields.items())]


@case
def the_pages_of_the_four_kinds_show_every_engine_once():
    listed_ids = sorted(engine.DataEngineId for engine in sdk.every_engine(client()))
    all_ids = sorted(sum(processes.shared().stats()["engines_by_image"].values(), []))
    same(listed_ids, all_ids)
    return f"{len(all_ids)} engines"


@case
def an_empty_request_shows_ten_supersql_engines_of_type_sql():
    page = sdk.engines(client())
    same(len(page.DataEngines), 10)
    same(different(page.DataEngines, EngineGeneration="SuperSQL", EngineExecType="SQL"), [])
    holds(page.TotalCount > 10, "there are more than ten")


@case_for_each(
    [
        (f"{generation} {exec_type}", generation, exec_type)
        for generation in ("SuperSQL", "Native")
        for exec_type in ("SQL", "BATCH")
    ]
)
def a_listing_of_a_kind_shows_only_engines_of_this_kind(generation, exec_type):
    engines = listed(EngineGeneration=generation, EngineExecType=exec_type)
    holds(engines, "there are engines of this kind")
    same(different(engines, EngineGeneration=generation, EngineExecType=exec_type), [])


@case
def an_engine_type_limits_the_listing():
    engines = listed(EngineType="presto")
    holds(engines, "there are presto engines")
    same(different(engines, EngineType="presto"), [])
    same(listed(EngineType="kyuubi"), [])


@case
def a_page_after_the_last_is_empty_and_has_the_total_count():
    page = sdk.engines(client(), Offset=10_000)
    same(page.DataEngines, None)
    same(page.TotalCount, sdk.engines(client()).TotalCount)


@case
def the_filter_by_id_shows_the_engines_of_its_values():
    ids = [engine.DataEngineId for engine in listed()[:2]]
    found = listed(Filters=[sdk.filter_of("engine-id", [*ids, "DataEngine-unknown"], "IN")])
    same(sorted(engine.DataEngineId for engine in found), sorted(ids))


def filter_by(**fields):
    """The parameters of a listing with one filter, given as JSON."""
    return {"Filters": [{"Name": "engine-id", "Operator": "IN", "Values": ["x"], **fields}]}


@case_for_each(
    [
        ("a limit above a hundred", {"Limit": 101}, "InvalidParameterValue"),
        ("a limit of zero", {"Limit": 0}, "InvalidParameterValue"),
        ("a negative offset", {"Offset": -1}, "InvalidParameterValue"),
        ("a limit in quotes", {"Limit": "10"}, "InvalidParameter"),
        ("an offset that is a fraction", {"Offset": 1.5}, "InvalidParameter"),
        ("an unknown generation", {"EngineGeneration": "Serverless"}, "InvalidParameterValue"),
        ("an unknown execution type", {"EngineExecType": "STREAM"}, "InvalidParameterValue"),
        ("filters that are not a list", {"Filters": {"Name": "engine-id"}}, "InvalidParameter"),
        ("a filter that is not an object", {"Filters": ["engine-id"]}, "InvalidParameter"),
        ("a filter without values", filter_by(Values=[]), "InvalidParameterValue"),
        ("a filter with 51 values", filter_by(Values=51 * ["x"]), "InvalidParameterValue"),
        ("a filter with a number", filter_by(Values=[2]), "InvalidParameter"),
        ("an unsupported filter", filter_by(Name="state"), "UnsupportedOperation"),
        ("an unsupported operator", filter_by(Operator="EQ"), "UnsupportedOperation"),
        ("an unsupported order", {"Sorting": "desc"}, "UnsupportedOperation"),
        ("an unsupported parameter", {"ListHasListener": False}, "UnknownParameter"),
        ("an unknown parameter", {"Page": 1}, "UnknownParameter"),
        ("nulls", {"Limit": None, "Filters": None, "EngineType": None}, "ok"),
        ("the default order", {"SortBy": "create-time", "Sorting": "asc"}, "ok"),
    ]
)
def a_parameter_of_a_listing_gets_the_code_of_its_problem(parameters, code):
    same(sdk.outcome(lambda: client().call_json("DescribeDataEngines", parameters)), code)


@case
def a_response_with_engines_fits_the_model_of_the_sdk():
    for generation in ("SuperSQL", "Native"):
        parameters = {"EngineGeneration": generation, "EngineExecType": "BATCH"}
        response = client().call_json("DescribeDataEngines", parameters)["Response"]
        same(shape.faults(models.DescribeDataEnginesResponse, response), [])


@case
def a_response_without_engines_fits_the_model_of_the_sdk():
    response = client().call_json("DescribeDataEngines", {"EngineType": "kyuubi"})["Response"]
    same(shape.faults(models.DescribeDataEnginesResponse, response), [])


@case_for_each([(engine_type, engine_type) for engine_type in ENGINE_TYPES])
def the_images_of_an_engine_type_fit_the_model_of_the_sdk(engine_type):
    response = client().call_json("DescribeDataEngineImageVersions", {"EngineType": engine_type})["Response"]
    same(shape.faults(models.DescribeDataEngineImageVersionsResponse, response), [])
    same(response["Total"], len(response["ImageParentVersions"]))
    same({image["EngineType"] for image in response["ImageParentVersions"]}, {engine_type})


@case
def every_engine_runs_an_image_of_its_type():
    ids = {name: {image.ImageVersionId for image in sdk.images(client(), name)} for name in ENGINE_TYPES}
    for engine in sdk.every_engine(client()):
        holds(engine.ImageVersionId in ids[engine.EngineTypeDetail], f"{engine} runs an image of another type")


@case_for_each(
    [
        ("no type", {}, "MissingParameter"),
        ("an unknown type", {"EngineType": "SQL"}, "InvalidParameterValue"),
        ("a type that is a number", {"EngineType": 1}, "InvalidParameter"),
        ("an unsupported parameter", {"EngineType": "SparkSQL", "Asc": True}, "UnknownParameter"),
        ("an unknown parameter", {"EngineType": "SparkSQL", "Limit": 10}, "UnknownParameter"),
    ]
)
def a_parameter_of_an_image_listing_gets_the_code_of_its_problem(parameters, code):
    same(sdk.outcome(lambda: client().call_json("DescribeDataEngineImageVersions", parameters)), code)
