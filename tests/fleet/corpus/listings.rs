//! Listings of the fleet that lie, repeat themselves or never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::{
    CallError, EngineKind, EngineListing, EnginePage, EngineRecord, EngineState, Fleet, ImageRecord,
};
use dlc_fleet::job::{DataEngineId, DataEngineName, Decision, ImageVersionId, Job, Region};
use dlc_fleet::ledger::{Past, Retry};
use dlc_fleet::run::{FleetView, Reader, RunOptions, SurveyError, decide};
use serde_json::Value;

use super::answers::{cloud, key};
use super::case::{Case, Class, Kind};
use super::server::{Received, Reply, Server, block_on};

const ENGINE: &str = "DataEngine-a";

/// What has to be seen of the engine.
#[derive(Clone, Copy)]
enum Seen {
    /// The listing is not believed, with these words.
    Failure(&'static str),
    /// The engine is not listed.
    Missing,
    /// On this image, in this state.
    On(Option<&'static str>, Option<i64>),
    /// The listing says two things.
    Unclear,
}

type Page = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A page as it was asked for.
struct Asked {
    offset: u64,
    /// True for the kind of engine that holds ours.
    ours: bool,
}

struct Listing {
    name: &'static str,
    page: Page,
    seen: Seen,
    /// Requests that may be needed at most.
    most: usize,
}

impl Listing {
    fn of(name: &'static str, seen: Seen, page: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self { name, page: Arc::new(page), seen, most: 56 }
    }

    fn into_case(self) -> Case {
        let expected = if matches!(self.seen, Seen::Failure(_)) { Class::NotRead } else { Class::Sound };
        let name = self.name.to_owned();
        Case { kind: Kind::Listing, name, expected, attempt: Box::new(move || block_on(self.meet())) }
    }

    async fn meet(self) -> Result<Class, String> {
        let page = Arc::clone(&self.page);
        let server = Server::start(move |received| page(&asked(received))).await;
        let options = RunOptions { max_attempts: 1, ..RunOptions::default() };
        let reader = Reader::new(Arc::new(cloud(&server, Duration::from_secs(30))), options);
        let result = reader.survey(&[job(ENGINE)]).await;
        let requests = server.received().len();
        if requests > self.most {
            return Err(format!("{requests} requests"));
        }
        self.judge(&result).map_err(|()| format!("{result:?}").chars().take(500).collect())
    }

    fn judge(&self, result: &Result<FleetView, SurveyError>) -> Result<Class, ()> {
        let view = match (self.seen, result) {
            (
                Seen::Failure(words),
                Err(SurveyError::Unread { fault: CallError::NoResponse { cause, .. }, .. }),
            ) if cause.contains(words) => {
                return Ok(Class::NotRead);
            }
            (_, Ok(view)) => view,
            _ => return Err(()),
        };
        let engine = view.engine(&key(ENGINE));
        let decision = decide(&job(ENGINE), &Past::default(), Some(view), Retry::default());
        let unclear = matches!(decision, Decision::Wait(reason) if reason.code == "engine-unclear");
        let fits = match (self.seen, engine) {
            (Seen::Missing, None) => true,
            (Seen::Unclear, Some(_)) => unclear,
            (Seen::On(image, state), Some(engine)) => {
                !unclear
                    && engine.image_version_id.as_ref().map(ImageVersionId::as_str) == image
                    && engine.state == state.map(EngineState)
            }
            _ => false,
        };
        if fits { Ok(Class::Sound) } else { Err(()) }
    }
}

fn job(engine: &str) -> Job {
    Job { key: key(engine), wave: 0, expected_image_version_id: None, data_engine_name: None, note: None }
}

fn asked(received: &Received) -> Asked {
    let body: Value = serde_json::from_str(&received.body).expect("JSON");
    let ours = body["EngineGeneration"] == "SuperSQL"
        && body["EngineExecType"] == "SQL"
        && body["EngineType"].is_null();
    Asked { offset: body["Offset"].as_u64().expect("an offset"), ours }
}

/// A listing with these fields.
fn answer(fields: &str) -> Reply {
    Reply::json(format!(r#"{{"Response":{{"RequestId":"r",{fields}}}}}"#))
}

fn nothing() -> Reply {
    answer(r#""TotalCount":0,"DataEngines":[]"#)
}

/// A page of the kind that holds our engine; the others are empty.
fn ours(fields: &'static str) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| if asked.ours { answer(fields) } else { nothing() }
}

/// Records of engines that nobody asked for.
fn others(from: u64, count: u64) -> String {
    let record =
        |number| format!(r#"{{"DataEngineId":"DataEngine-{number}","State":2,"ImageVersionId":"i"}}"#);
    (from..from + count).map(record).collect::<Vec<_>>().join(",")
}

const RECORD: &str = r#"{"DataEngineId":"DataEngine-a","State":2,"ImageVersionId":"image-old"}"#;

const OLD: Seen = Seen::On(Some("image-old"), Some(2));

const ODD: Seen = Seen::Failure("the response does not have the documented form");

pub fn cases() -> Vec<Case> {
    shapes().into_iter().chain(records()).chain(counts()).map(Listing::into_case).chain([endless()]).collect()
}

/// Answers that are no listing.
fn shapes() -> Vec<Listing> {
    let whole = |name, seen, reply: Reply| Listing::of(name, seen, move |_: &Asked| reply.clone());
    let long = "x".repeat(9 << 20);
    vec![
        whole("HTML", Seen::Failure("the response is not JSON"), Reply::http("200 OK", "x: y", "<html>")),
        whole("nothing", Seen::Failure("the response is empty"), Reply::json("")),
        whole("a redirect", Seen::Failure("HTTP 302"), Reply::http("302 Found", "location: /", "")),
        whole(
            "no RequestId",
            Seen::Failure("no RequestId"),
            Reply::json(r#"{"Response":{"DataEngines":[]}}"#),
        ),
        whole(
            "half a page",
            Seen::Failure("incomplete"),
            Reply::json(r#"{"Response":{"RequestId":"r","DataEng"#),
        ),
        whole("more than eight megabytes", Seen::Failure("larger than 8388608 bytes"), Reply::json(long)),
        whole(
            "a page without end",
            Seen::Failure("larger than 8388608 bytes"),
            Reply::Endless(
                b"HTTP/1.1 200 OK\r\n\r\n{\"Response\":{\"DataEngines\":[".to_vec(),
                b"{},".repeat(2_000),
            ),
        ),
        Listing::of("a million empty records", ODD, |_: &Asked| {
            answer(&format!(r#""DataEngines":[{}{{}}]"#, "{},".repeat(1_000_000)))
        }),
        Listing::of("engines that are an object", ODD, ours(r#""DataEngines":{"a":1}"#)),
        Listing::of("engines that are text", ODD, ours(r#""DataEngines":"DataEngine-a""#)),
        Listing::of("two lists of engines", ODD, ours(r#""DataEngines":[],"DataEngines":[]"#)),
        Listing::of("engines that are null", Seen::Missing, ours(r#""DataEngines":null"#)),
        Listing::of("no engines and no count", Seen::Missing, ours(r#""Novelty":1"#)),
        Listing::of("a count that is negative", ODD, ours(r#""TotalCount":-1,"DataEngines":[]"#)),
        Listing::of("a count as text", ODD, ours(r#""TotalCount":"1","DataEngines":[]"#)),
        Listing::of("a count with a fraction", ODD, ours(r#""TotalCount":1.5,"DataEngines":[]"#)),
        Listing::of(
            "a count beyond thirty-two bits",
            ODD,
            ours(r#""TotalCount":4294967296,"DataEngines":[]"#),
        ),
    ]
}

/// A page with one record that says this beside the id of our engine.
fn record(name: &'static str, seen: Seen, fields: &'static str) -> Listing {
    Listing::of(name, seen, move |asked: &Asked| {
        let record = format!(r#""TotalCount":1,"DataEngines":[{{"DataEngineId":"DataEngine-a",{fields}}}]"#);
        if asked.ours { answer(&record) } else { nothing() }
    })
}

fn records() -> Vec<Listing> {
    vec![
        Listing::of("a record that is null", ODD, ours(r#""DataEngines":[null]"#)),
        Listing::of("a record that is text", ODD, ours(r#""DataEngines":["DataEngine-a"]"#)),
        Listing::of(
            "a record that is a list",
            ODD,
            ours(r#""DataEngines":[["DataEngine-a",null,2,"image-new"]]"#),
        ),
        Listing::of("a record without an id", Seen::Missing, ours(r#""DataEngines":[{"State":2}]"#)),
        Listing::of("an id that is null", Seen::Missing, ours(r#""DataEngines":[{"DataEngineId":null}]"#)),
        Listing::of("an id that is empty", Seen::Missing, ours(r#""DataEngines":[{"DataEngineId":""}]"#)),
        Listing::of("an id that is a number", ODD, ours(r#""DataEngines":[{"DataEngineId":7}]"#)),
        Listing::of(
            "an id in other letters",
            Seen::Missing,
            ours(r#""DataEngines":[{"DataEngineId":"dataengine-a"}]"#),
        ),
        Listing::of(
            "an id with a blank behind it",
            Seen::Missing,
            ours(r#""DataEngines":[{"DataEngineId":"DataEngine-a "}]"#),
        ),
        Listing::of(
            "two ids in one record",
            ODD,
            ours(r#""DataEngines":[{"DataEngineId":"DataEngine-a","DataEngineId":"b"}]"#),
        ),
        record("a state as text", ODD, r#""State":"2""#),
        record("a state with a fraction", ODD, r#""State":2.5"#),
        record("a state beyond sixty-four bits", ODD, r#""State":18446744073709551616"#),
        record("a state that is true", ODD, r#""State":true"#),
        record("two states", ODD, r#""State":0,"State":2"#),
        record(
            "a state that nobody documented",
            Seen::On(Some("i"), Some(99)),
            r#""State":99,"ImageVersionId":"i""#,
        ),
        record(
            "the least state of all",
            Seen::On(Some("i"), Some(i64::MIN)),
            r#""State":-9223372036854775808,"ImageVersionId":"i""#,
        ),
        record("a state of null", Seen::On(Some("i"), None), r#""State":null,"ImageVersionId":"i""#),
        record("an image that is a number", ODD, r#""State":2,"ImageVersionId":7"#),
        record("an image that is empty", Seen::On(None, Some(2)), r#""State":2,"ImageVersionId":"""#),
        record("two images", ODD, r#""State":2,"ImageVersionId":"image-old","ImageVersionId":"image-new""#),
        record(
            "the target in other letters",
            Seen::On(Some("IMAGE-NEW"), Some(2)),
            r#""State":2,"ImageVersionId":"IMAGE-NEW""#,
        ),
        record(
            "the target with a NUL behind it",
            Seen::On(Some(r"image-new\u{0}"), Some(2)),
            r#""State":2,"ImageVersionId":"image-new\u0000""#,
        ),
        record(
            "a name that steers the terminal",
            Seen::On(Some("i"), Some(2)),
            r#""State":2,"ImageVersionId":"i","DataEngineName":"\u001b[2J""#,
        ),
    ]
}

/// Counts that are wrong, and pages that contradict each other.
fn counts() -> Vec<Listing> {
    let paged = |name, seen, most, total: &'static str, page: fn(u64) -> String| Listing {
        most,
        ..Listing::of(name, seen, move |asked: &Asked| {
            let listed =
                || answer(&format!(r#""TotalCount":{total},"DataEngines":[{}]"#, page(asked.offset)));
            if asked.ours { listed() } else { nothing() }
        })
    };
    let last_of_250 = |offset| match offset {
        0 | 100 => others(offset, 100),
        200 => format!("{},{RECORD}", others(200, 49)),
        _ => String::new(),
    };
    let twice = |first: &'static str, second: &'static str| {
        Listing::of("", Seen::Unclear, move |asked: &Asked| {
            let both = answer(&format!(r#""TotalCount":2,"DataEngines":[{first},{second}]"#));
            if asked.ours { both } else { nothing() }
        })
    };
    let new = r#"{"DataEngineId":"DataEngine-a","State":2,"ImageVersionId":"image-new"}"#;
    let busy = r#"{"DataEngineId":"DataEngine-a","State":0,"ImageVersionId":"image-old"}"#;
    vec![
        paged("a count of nothing", OLD, 12, "0", |_| RECORD.to_owned()),
        paged("a count of nothing over three pages", OLD, 12, "0", last_of_250),
        paged("no count over three pages", OLD, 12, "null", last_of_250),
        paged("a count of one page over three", OLD, 12, "100", last_of_250),
        paged("a count of four thousand million", OLD, 30, "4294967295", last_of_250),
        paged("a count and no engines", Seen::Missing, 56, "300", |_| String::new()),
        paged("the same page again and again", OLD, 40, "4294967295", |_| {
            format!("{},{RECORD}", others(0, 99))
        }),
        paged("a thousand engines on a page of a hundred", OLD, 24, "1001", |offset| {
            if offset == 0 { format!("{},{RECORD}", others(0, 1_000)) } else { String::new() }
        }),
        Listing {
            most: 24,
            ..Listing::of("every engine in every kind", OLD, |_: &Asked| {
                answer(&format!(r#""TotalCount":1,"DataEngines":[{RECORD}]"#))
            })
        },
        Listing { name: "an engine on two images", ..twice(RECORD, new) },
        Listing { name: "an engine on two images, the other way round", ..twice(new, RECORD) },
        Listing { name: "an engine in two states", ..twice(RECORD, busy) },
        Listing { name: "an engine twice and the same", seen: OLD, ..twice(RECORD, RECORD) },
        Listing::of("an engine on another image in each kind", Seen::Unclear, move |asked: &Asked| {
            answer(&format!(r#""TotalCount":1,"DataEngines":[{}]"#, if asked.ours { RECORD } else { new }))
        }),
    ]
}

/// A fleet whose pages never end, each with engines that were not there before.
struct Endless(AtomicUsize);

impl Fleet for Endless {
    async fn engines(&self, _: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let record = |number: u32| EngineRecord {
            data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
            name: None,
            state: None,
            image_version_id: None,
            image_version_name: None,
            child_image_version_id: None,
            engine_type_detail: None,
            kind: Some(page.kind),
        };
        let engines = (page.offset..page.offset + page.limit).map(record).collect();
        Ok(EngineListing { engines, total: u32::MAX })
    }

    async fn engines_by_id(
        &self,
        _: &Region,
        _: EngineKind,
        _: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        Ok(EngineListing::default())
    }

    async fn engine_by_name(
        &self,
        _: &Region,
        _: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        Ok(None)
    }

    async fn images(&self, _: &Region, _: &str) -> Result<Vec<ImageRecord>, CallError> {
        Ok(Vec::new())
    }
}

/// In virtual time, because the limit of requests holds for reading too.
fn endless() -> Case {
    let attempt = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let fleet = Arc::new(Endless(AtomicUsize::new(0)));
            let view = Reader::new(Arc::clone(&fleet), RunOptions::default()).survey(&[job(ENGINE)]).await;
            let (requests, view) =
                (fleet.0.load(Ordering::Relaxed), view.map_err(|blind| format!("{blind:?}"))?);
            // four kinds, and once more for the engine that is missing
            let bounded = requests <= 8_000 && view.engines().count() <= 100_000;
            if bounded && view.engine(&key(ENGINE)).is_none() {
                Ok(Class::Sound)
            } else {
                Err(format!("{requests} requests"))
            }
        })
    };
    Case {
        kind: Kind::Listing,
        name: "pages without end".to_owned(),
        expected: Class::Sound,
        attempt: Box::new(attempt),
    }
}
