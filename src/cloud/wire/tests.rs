//! Complete, sparse and broken bodies, and the records that they become.

mod properties;

use super::*;
use crate::cloud::engine::{EngineExecType, EngineGeneration};

const PAGE: EnginePage = EnginePage {
    kind: EngineKind {
        generation: EngineGeneration::Native,
        exec_type: EngineExecType::Batch,
        gateway: false,
    },
    offset: 200,
    limit: 2,
};

fn listing(response: &str) -> EngineListing {
    let body = format!(r#"{{"Response":{response}}}"#);
    let response = parse_response::<EnginesResponse>(body.as_bytes()).expect("a response");
    response.body.into_listing(PAGE)
}

fn written(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("JSON")
}

fn unreadable(body: &str) -> &'static str {
    match parse_response::<EnginesResponse>(body.as_bytes()) {
        Err(ResponseError::Unreadable(why)) => why,
        Err(ResponseError::Refused(refusal)) => panic!("{body} was read as {refusal:?}"),
        Ok(_) => panic!("{body} was read as a response"),
    }
}

#[test]
fn request_bodies_are_written_as_documented() {
    assert_eq!(
        written(&EnginesRequest::new(PAGE)),
        r#"{"Offset":200,"Limit":2,"EngineGeneration":"Native","EngineExecType":"BATCH","#.to_owned()
            + r#""SortBy":"create-time","Sorting":"asc"}"#
    );
    let gateways = EnginePage { kind: EngineKind { gateway: true, ..PAGE.kind }, ..PAGE };
    assert_eq!(
        written(&EnginesRequest::new(gateways)),
        r#"{"Offset":200,"Limit":2,"EngineGeneration":"Native","EngineExecType":"BATCH","EngineType":"kyuubi","#.to_owned()
            + r#""SortBy":"create-time","Sorting":"asc"}"#
    );
    let name = DataEngineName::new("spark-数");
    assert_eq!(written(&EngineRequest { data_engine_name: &name }), r#"{"DataEngineName":"spark-数"}"#);
    assert_eq!(written(&ImagesRequest { engine_type: "SparkSQL" }), r#"{"EngineType":"SparkSQL"}"#);
    let key = JobKey {
        region: crate::job::Region::new("ap-guangzhou"),
        data_engine_id: DataEngineId::new("DataEngine-kxxxxr13"),
        new_image_version_id: ImageVersionId::new("7ac9cc78"),
    };
    assert_eq!(
        written(&SwitchRequest::new(&key)),
        r#"{"DataEngineId":"DataEngine-kxxxxr13","NewImageVersionId":"7ac9cc78"}"#
    );
}

#[test]
fn an_engine_is_read_with_every_field_and_unknown_ones_are_ignored() {
    let listing = listing(
        r#"{"RequestId":"r","TotalCount":207,"Novelty":{"a":[1]},"DataEngines":[{"DataEngineId":"DataEngine-a",
        "DataEngineName":"n","State":9,"ImageVersionId":"i","ImageVersionName":"Standard-S 1.1",
        "ChildImageVersionId":"c","EngineTypeDetail":"StandardSpark","Novelty":null}]}"#,
    );
    let expected = EngineRecord {
        data_engine_id: DataEngineId::new("DataEngine-a"),
        name: Some(DataEngineName::new("n")),
        state: Some(EngineState(9)),
        image_version_id: Some(ImageVersionId::new("i")),
        image_version_name: Some("Standard-S 1.1".to_owned()),
        child_image_version_id: Some("c".to_owned()),
        engine_type_detail: Some("StandardSpark".to_owned()),
        kind: Some(PAGE.kind),
    };
    assert_eq!(listing, EngineListing { engines: vec![expected], total: 207 });
}

#[test]
fn a_full_listing_covers_every_value_of_the_parameters_that_hide_engines() {
    let bodies: std::collections::BTreeSet<String> = EngineKind::ALL
        .into_iter()
        .map(|kind| {
            let body = serde_json::to_value(EnginesRequest::new(EnginePage { kind, ..PAGE })).expect("JSON");
            format!("{} {} {}", body["EngineGeneration"], body["EngineExecType"], body["EngineType"])
        })
        .collect();
    let mut expected = std::collections::BTreeSet::new();
    for generation in ["SuperSQL", "Native"] {
        for exec_type in ["SQL", "BATCH"] {
            // without a type, all engines but gateways are shown
            for engine_type in ["null", "\"kyuubi\""] {
                expected.insert(format!("\"{generation}\" \"{exec_type}\" {engine_type}"));
            }
        }
    }
    assert_eq!(bodies, expected);
}

#[test]
fn an_engine_by_name_is_one_record_or_none() {
    let shown = |response: &str| {
        let body = format!(r#"{{"Response":{response}}}"#);
        parse_response::<EngineResponse>(body.as_bytes()).expect("a response").body.into_record()
    };
    let record = shown(
        r#"{"RequestId":"r","DataEngine":{"DataEngineId":"a","DataEngineName":"n","State":2,"ImageVersionId":"i"}}"#,
    );
    let record = record.expect("a record");
    assert_eq!(
        (record.data_engine_id.as_str(), record.state, record.kind),
        ("a", Some(EngineState::RUNNING), None)
    );
    for nothing in [r#"{"RequestId":"r","DataEngine":null}"#, r#"{"RequestId":"r"}"#] {
        assert_eq!(shown(nothing), None, "{nothing}");
    }
}

#[test]
fn null_empty_and_absent_are_the_same() {
    let nothing = EngineListing { engines: Vec::new(), total: 200 };
    assert_eq!(listing(r#"{"RequestId":"r","DataEngines":null,"TotalCount":null}"#), nothing);
    assert_eq!(listing(r#"{"RequestId":"r","Error":null}"#), nothing);
    for record in [
        r#"{"DataEngineId":"a","State":null,"ImageVersionId":null,"DataEngineName":null}"#,
        r#"{"DataEngineId":"a","ImageVersionId":"","DataEngineName":"","EngineTypeDetail":""}"#,
        r#"{"DataEngineId":"a"}"#,
    ] {
        let listing = listing(&format!(r#"{{"RequestId":"r","DataEngines":[{record}]}}"#));
        let engine = listing.engines.first().expect(record);
        assert_eq!((&engine.name, engine.state, &engine.image_version_id), (&None, None, &None), "{record}");
        assert_eq!(engine.engine_type_detail, None, "{record}");
    }
}

#[test]
fn a_full_page_is_followed_by_another_one_whatever_the_count_says() {
    for count in ["null", "0", "200", "201"] {
        let with = |records: &str| {
            listing(&format!(r#"{{"RequestId":"r","TotalCount":{count},"DataEngines":[{records}]}}"#)).total
        };
        assert_eq!(with(r#"{"DataEngineId":"a"}"#), 201, "{count}");
        assert_eq!(with(r#"{"DataEngineId":"a"},{"DataEngineId":"b"}"#), 203, "{count}");
    }
    assert_eq!(
        listing(r#"{"RequestId":"r","TotalCount":900,"DataEngines":[{"DataEngineId":"a"}]}"#).total,
        900
    );
}

#[test]
fn an_engine_without_identifier_is_left_out_and_the_others_stay() {
    let listing = listing(
        r#"{"RequestId":"r","TotalCount":207,"DataEngines":[{"DataEngineName":"n"},{"DataEngineId":""},
        {"DataEngineId":"a"}]}"#,
    );
    assert_eq!(listing.engines.len(), 1);
    assert_eq!(listing.total, 207);
}

#[test]
fn images_are_read_and_those_without_identifier_left_out() {
    let body = r#"{"Response":{"RequestId":"r","Total":2,"ImageParentVersions":[{"ImageVersionId":"i",
        "ImageVersion":"Standard-S 1.1","State":2,"EngineType":"StandardSpark"},{"ImageVersionId":null}]}}"#;
    let images = parse_response::<ImagesResponse>(body.as_bytes()).expect("a response").body.into_records();
    let expected = ImageRecord {
        image_version_id: ImageVersionId::new("i"),
        name: Some("Standard-S 1.1".to_owned()),
        state: Some(ImageRecord::ONLINE),
        engine_type: Some("StandardSpark".to_owned()),
    };
    assert_eq!(images, [expected]);
    let body = br#"{"Response":{"RequestId":"r","ImageParentVersions":null}}"#;
    assert!(parse_response::<ImagesResponse>(body).expect("a response").body.into_records().is_empty());
}

#[test]
fn a_refusal_is_read_with_or_without_its_details() {
    for (response, message, request_id) in [
        (r#"{"Error":{"Code":"C.D","Message":"m"},"RequestId":"r"}"#, "m", Some("r")),
        (r#"{"Error":{"Code":"C.D","Message":null},"RequestId":null}"#, "", None),
        (r#"{"Error":{"Code":"C.D"},"DataEngines":"not even a list"}"#, "", None),
    ] {
        let body = format!(r#"{{"Response":{response}}}"#);
        let refusal = Refusal {
            code: "C.D".to_owned(),
            message: message.to_owned(),
            request_id: request_id.map(str::to_owned),
        };
        let parsed = parse_response::<EnginesResponse>(body.as_bytes()).err();
        assert_eq!(parsed, Some(ResponseError::Refused(refusal)), "{body}");
    }
}

#[test]
fn an_incomplete_or_foreign_body_is_unreadable() {
    assert_eq!(unreadable(""), "the response is empty");
    assert_eq!(unreadable("<html></html>"), "the response is not JSON");
    assert_eq!(unreadable(r#"{"Response":{"RequestId":"r"}} x"#), "the response is not JSON");
    assert_eq!(unreadable(r#"{"Response":{"RequestId":"r""#), "the response is incomplete");
    for body in ["{}", "[]", "null", r#"{"Response":null}"#, r#"{"Response":[{}]}"#] {
        assert!(unreadable(body).starts_with("the response does not have the documented form"), "{body}");
    }
    for fields in [r#""State":"2""#, r#""ImageVersionId":7"#] {
        let body =
            format!(r#"{{"Response":{{"RequestId":"r","DataEngines":[{{"DataEngineId":"a",{fields}}}]}}}}"#);
        assert_eq!(unreadable(&body), "the response does not have the documented form");
    }
    assert_eq!(unreadable(r#"{"Response":{"RequestId":""}}"#), "the response has no RequestId");
    assert_eq!(unreadable(r#"{"Response":{"TotalCount":0}}"#), "the response has no RequestId");
    assert_eq!(
        unreadable(r#"{"Response":{"Error":{"Code":""}}}"#),
        "the response is an error without a code"
    );
}

#[test]
fn a_list_is_never_read_as_an_object() {
    for body in [
        r#"[{"RequestId":"r"}]"#,
        r#"{"Response":[null,"r"]}"#,
        r#"{"Response":{"RequestId":"r","Error":["C.D","m"]}}"#,
        r#"{"Response":{"RequestId":"r","DataEngines":[["a",null,2,"i"]]}}"#,
    ] {
        assert_eq!(unreadable(body), "the response does not have the documented form", "{body}");
    }
    assert!(matches!(
        parse_response::<SwitchResponse>(br#"[{"RequestId":"r"}]"#),
        Err(ResponseError::Unreadable(_))
    ));
}

#[test]
fn damage_in_an_unused_field_makes_the_response_unreadable() {
    let body = b"{\"Response\":{\"RequestId\":\"r\",\"Novelty\":\"\xff\"}}";
    assert!(matches!(parse_response::<SwitchResponse>(body), Err(ResponseError::Unreadable(_))));
}

#[test]
fn a_list_much_longer_than_a_page_is_refused() {
    let body = |records: usize| {
        let records = vec!["{}"; records].join(",");
        format!(r#"{{"Response":{{"RequestId":"r","DataEngines":[{records}]}}}}"#)
    };
    assert!(parse_response::<EnginesResponse>(body(10_000).as_bytes()).is_ok());
    assert_eq!(unreadable(&body(10_001)), "the response does not have the documented form");
}

#[test]
fn very_long_texts_are_cut_before_they_reach_a_ledger() {
    let long = "x".repeat(3 << 20);
    let body =
        format!(r#"{{"Response":{{"RequestId":"{long}","Error":{{"Code":"{long}","Message":"{long}"}}}}}}"#);
    let Err(ResponseError::Refused(refusal)) = parse_response::<EnginesResponse>(body.as_bytes()) else {
        panic!("not refused")
    };
    assert_eq!((refusal.code.chars().count(), refusal.message.chars().count()), (256, 2000));
    assert_eq!(refusal.request_id.map(|id| id.chars().count()), Some(256));
    let listing = listing(&format!(
        r#"{{"RequestId":"r","DataEngines":[{{"DataEngineId":"a","ImageVersionId":"{long}"}}]}}"#
    ));
    let image = listing.engines[0].image_version_id.as_ref().expect("an image");
    assert_eq!(image.as_str().chars().count(), 256);
}
