"""The vendor's SDK switches engines, and gets each refusal of a switch that the simulator supports."""

import uuid

from tencentcloud.dlc.v20210125 import models

import processes
import sdk
import shape
from suite import case, case_for_each, holds, same

RUNNING = 2

# Engines that cases have switched, so that each case uses another.
USED = set()


def client():
    """A client with valid keys."""
    return sdk.client(processes.shared())


def fresh_engine():
    """A running engine that no case has switched yet."""
    engines = [engine for engine in sdk.every_engine(client()) if engine.DataEngineId not in USED]
    USED.add(engines[0].DataEngineId)
    return engines[0]


def images_for(engine, state=2):
    """Ids of the images of an engine's type that it does not run, in a state."""
    images = sdk.images(client(), engine.EngineTypeDetail)
    return [
        image.ImageVersionId
        for image in images
        if image.State == state and image.ImageVersionId != engine.ImageVersionId
    ]


def code_of_switch(engine_id, image_id):
    """`ok`, or the code of the refusal."""
    return sdk.outcome(lambda: sdk.switch(client(), engine_id, image_id))


def arrived(engine_id, image_id):
    """Whether an engine runs an image."""
    engine = sdk.record(client(), engine_id)
    return engine.State == RUNNING and engine.ImageVersionId == image_id


@case
def a_switch_is_accepted_and_ends_on_its_target():
    engine = fresh_engine()
    target = images_for(engine)[0]
    answer = sdk.switch(client(), engine.DataEngineId, target)
    uuid.UUID(answer.RequestId)
    processes.wait_until("the engine runs its new image", lambda: arrived(engine.DataEngineId, target))
    same(processes.shared().stats()["applied_by_engine"][engine.DataEngineId], 1)


@case
def the_response_to_a_switch_fits_the_model_of_the_sdk():
    engine = fresh_engine()
    parameters = {"DataEngineId": engine.DataEngineId, "NewImageVersionId": images_for(engine)[0]}
    answer = client().call_json("SwitchDataEngineImage", parameters)["Response"]
    same(shape.faults(models.SwitchDataEngineImageResponse, answer), [])


@case
def an_engine_that_is_switching_refuses_another_switch():
    with processes.simulated_with("switching: {min: 1h, max: 1h}\n") as simulated:
        own_client = sdk.client(simulated)
        engine = sdk.engines(own_client).DataEngines[0]
        images = [image for image in sdk.images(own_client, engine.EngineTypeDetail) if image.State == 2]
        switch = lambda image: sdk.switch(own_client, engine.DataEngineId, image.ImageVersionId)
        same(sdk.outcome(lambda: switch(images[0])), "ok")
        same(sdk.outcome(lambda: switch(images[1])), "ResourceNotFound.DataEngineNotActivity")


@case
def an_unknown_engine_is_not_found():
    engine = fresh_engine()
    same(code_of_switch("DataEngine-unknown", images_for(engine)[0]), "ResourceNotFound.DataEngineNotFound")


@case
def an_engine_is_not_found_in_another_region():
    engine = fresh_engine()
    elsewhere = sdk.client(processes.shared(), region="ap-shanghai")
    call = lambda: sdk.switch(elsewhere, engine.DataEngineId, images_for(engine)[0])
    same(sdk.outcome(call), "ResourceNotFound.DataEngineNotFound")


@case
def an_unknown_image_is_not_found():
    same(code_of_switch(fresh_engine().DataEngineId, str(uuid.uuid4())), "ResourceNotFound.ImageVersionNotFound")


@case
def a_minor_version_is_not_a_target():
    engine = fresh_engine()
    same(code_of_switch(engine.DataEngineId, engine.ChildImageVersionId), "ResourceNotFound.ImageVersionNotFound")


@case
def an_image_that_is_offline_is_not_active():
    engine = fresh_engine()
    code = code_of_switch(engine.DataEngineId, images_for(engine, state=3)[0])
    same(code, "ResourceNotFound.ImageVersionNotActivity")


@case
def an_image_of_another_type_does_not_match():
    engine = fresh_engine()
    other = next(found for found in sdk.every_engine(client()) if found.EngineTypeDetail != engine.EngineTypeDetail)
    code = code_of_switch(engine.DataEngineId, images_for(other)[0])
    same(code, "InvalidParameter.ImageEngineTypeNotMatch")


@case_for_each(
    [
        ("nothing", {}, "MissingParameter"),
        ("no engine", {"NewImageVersionId": "x"}, "MissingParameter"),
        ("no image", {"DataEngineId": "x"}, "MissingParameter"),
        ("null for an engine", {"DataEngineId": None, "NewImageVersionId": "x"}, "MissingParameter"),
        (
            "an empty engine",
            {"DataEngineId": "", "NewImageVersionId": "x"},
            "InvalidParameter.ParameterNotFoundOrBeNone",
        ),
        ("an engine that is a number", {"DataEngineId": 7, "NewImageVersionId": "x"}, "InvalidParameter"),
        ("an image that is a list", {"DataEngineId": "x", "NewImageVersionId": ["x"]}, "InvalidParameter"),
        (
            "an unknown parameter",
            {"DataEngineId": "x", "NewImageVersionId": "x", "DryRun": True},
            "UnknownParameter",
        ),
        ("names in lower case", {"dataEngineId": "x", "newImageVersionId": "x"}, "MissingParameter"),
    ]
)
def a_parameter_of_a_switch_gets_the_code_of_its_problem(parameters, code):
    same(sdk.outcome(lambda: client().call_json("SwitchDataEngineImage", parameters)), code)


@case
def a_field_that_the_sdk_leaves_unset_is_missing():
    request = sdk.request(models.SwitchDataEngineImageRequest, DataEngineId="DataEngine-sim00001")
    same(sdk.outcome(lambda: client().SwitchDataEngineImage(request)), "MissingParameter")


@case
def a_body_that_is_no_object_is_invalid():
    same(sdk.outcome(lambda: client().call_json("SwitchDataEngineImage", ["x"])), "InvalidParameter")


@case
def nothing_was_switched_by_a_refused_call():
    more_than_once = processes.shared().stats()["applied_more_than_once"]
    same(more_than_once, [])
    holds(processes.shared().stats()["applied"] <= len(USED), "more switches than cases")
