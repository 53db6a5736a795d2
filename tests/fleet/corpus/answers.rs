//! Answers to a switch that the service never gives: what is believed of them.

use std::sync::Arc;
use std::time::Duration;

use dlc_fleet::cloud::credentials::{Credentials, Keyring};
use dlc_fleet::cloud::http::{HttpCloud, HttpFleet};
use dlc_fleet::cloud::network::Network;
use dlc_fleet::cloud::signed::SignedClient;
use dlc_fleet::cloud::{CallError, Cloud, Receipt};
use dlc_fleet::job::{DataEngineId, ImageVersionId, JobKey, Region};
use zeroize::Zeroizing;

use super::case::{Case, Class, Kind};
use super::server::{Reply, Server, block_on};

const SECRET_ID: &str = "AKIDcorpuscorpus";
const SECRET_KEY: &str = "corpus-secret-key";

/// The answer to an accepted switch.
pub const RECEIPT: &str = r#"{"Response":{"RequestId":"r-1"}}"#;

/// What has to be made of an answer.
#[derive(Clone, Copy)]
pub enum Believed {
    /// Accepted, with this `RequestId`.
    Receipt(&'static str),
    /// In problem: a receipt with this `RequestId` that is not called JSON.
    OddReceipt(&'static str),
    /// Refused with this code.
    Refusal(&'static str),
    /// In problem, with this status and these words.
    Nothing(Option<u16>, &'static str),
}

#[derive(Clone)]
pub struct Answer {
    name: &'static str,
    reply: Reply,
    believed: Believed,
    /// How long the answer is waited for.
    patience: Duration,
}

/// A client whose patience is this long.
pub fn cloud(server: &Server, patience: Duration) -> HttpCloud {
    let secret_key = Zeroizing::new(SECRET_KEY.to_owned());
    let credentials = Credentials::new(SECRET_ID.to_owned(), secret_key, None);
    let endpoint = format!("http://{}", server.address).parse().expect("an endpoint");
    let client =
        SignedClient::new(endpoint, &Network::default(), patience, Arc::default()).expect("a client");
    HttpCloud::new(HttpFleet::new(client, Arc::new(Keyring::of(credentials, "the corpus"))))
}

pub fn key(engine: &str) -> JobKey {
    JobKey {
        region: Region::new("ap-guangzhou"),
        data_engine_id: DataEngineId::new(engine),
        new_image_version_id: ImageVersionId::new("image-new"),
    }
}

pub fn cases() -> Vec<Case> {
    let answers = [envelopes(), request_ids(), errors(), forms(), super::http::answers()].concat();
    answers.into_iter().map(Answer::into_case).collect()
}

/// An answer with this body, of which nothing may be believed.
fn nothing(name: &'static str, body: impl AsRef<[u8]>, words: &'static str) -> Vec<Answer> {
    vec![Answer::of(name, Reply::json(body), Believed::Nothing(Some(200), words))]
}

impl Answer {
    pub fn of(name: &'static str, reply: Reply, believed: Believed) -> Self {
        Self { name, reply, believed, patience: Duration::from_secs(30) }
    }

    pub fn impatient(self) -> Self {
        Self { patience: Duration::from_secs(1), ..self }
    }

    fn into_case(self) -> Case {
        let expected = match self.believed {
            Believed::Receipt(_) => Class::Accepted,
            Believed::Refusal(_) => Class::RefusedByService,
            Believed::OddReceipt(_) | Believed::Nothing(..) => Class::Unconfirmed,
        };
        let name = self.name.to_owned();
        Case { kind: Kind::SwitchAnswer, name, expected, attempt: Box::new(move || block_on(self.meet())) }
    }

    async fn meet(self) -> Result<Class, String> {
        let reply = self.reply.clone();
        let server = Server::start(move |_| reply.clone()).await;
        let result = cloud(&server, self.patience).switch(&key("DataEngine-a")).await;
        let told = format!("{result:?}");
        if server.received().len() != 1 {
            return Err(format!("{} requests: {told}", server.received().len()));
        }
        if told.contains(SECRET_KEY) || told.len() > 5_000 {
            return Err(format!("it tells too much: {} bytes", told.len()));
        }
        self.judge(result).map_err(|()| told)
    }

    fn judge(&self, result: Result<Receipt, CallError>) -> Result<Class, ()> {
        match (self.believed, result) {
            (Believed::Receipt(id), Ok(Receipt { request_id, problem: None })) if request_id == id => {
                Ok(Class::Accepted)
            }
            (Believed::OddReceipt(id), Ok(Receipt { request_id, problem: Some(_) })) if request_id == id => {
                Ok(Class::Unconfirmed)
            }
            (Believed::Refusal(code), Err(CallError::Refused(refusal))) if refusal.code == code => {
                Ok(Class::RefusedByService)
            }
            (Believed::Nothing(status, words), Err(CallError::NoResponse { cause, http_status }))
                if http_status == status && cause.contains(words) && !cause.contains(char::is_control) =>
            {
                Ok(Class::Unconfirmed)
            }
            _ => Err(()),
        }
    }
}

pub const NO_JSON: &str = "the response is not JSON";
const ODD: &str = "the response does not have the documented form";
pub const CUT: &str = "the response is incomplete";
const NO_ID: &str = "the response has no RequestId";

fn envelopes() -> Vec<Answer> {
    [
        nothing("an empty object", "{}", ODD),
        nothing("an empty list", "[]", ODD),
        nothing("null", "null", ODD),
        nothing("true", "true", ODD),
        nothing("a number", "42", ODD),
        nothing("a text", "\"ok\"", ODD),
        nothing("a receipt in a list", r#"[{"RequestId":"r-1"}]"#, ODD),
        nothing("a whole answer in a list", format!("[{RECEIPT}]"), ODD),
        nothing("a receipt without its envelope", r#"{"RequestId":"r-1"}"#, ODD),
        nothing("an envelope in small letters", r#"{"response":{"RequestId":"r-1"}}"#, ODD),
        nothing("an envelope in an envelope", format!(r#"{{"Response":{RECEIPT}}}"#), NO_ID),
        nothing("an envelope of null", r#"{"Response":null}"#, ODD),
        nothing("an envelope of text", r#"{"Response":"r-1"}"#, ODD),
        nothing("an envelope that is a list", r#"{"Response":[null,"r-1"]}"#, ODD),
        nothing("two envelopes", r#"{"Response":{"RequestId":"a"},"Response":{"RequestId":"b"}}"#, ODD),
        nothing("two answers", format!("{RECEIPT}{RECEIPT}"), NO_JSON),
        nothing("an answer and a text", format!("{RECEIPT} ok"), NO_JSON),
        vec![Answer::of(
            "more than anybody asked for",
            Reply::json(format!(
                r#"{{"Response":{{"RequestId":"r-1","More":{}1{}}}}}"#,
                "[".repeat(5_000),
                "]".repeat(5_000)
            )),
            Believed::Receipt("r-1"),
        )],
    ]
    .concat()
}

fn request_ids() -> Vec<Answer> {
    let with = |id: &str| format!(r#"{{"Response":{{"RequestId":{id}}}}}"#);
    [
        nothing("no RequestId", r#"{"Response":{}}"#, NO_ID),
        nothing("an empty RequestId", with("\"\""), NO_ID),
        nothing("a RequestId of null", with("null"), NO_ID),
        nothing("a RequestId that is a number", with("7"), ODD),
        nothing("a RequestId that is true", with("true"), ODD),
        nothing("a RequestId that is a list", with(r#"["r-1"]"#), ODD),
        nothing("a RequestId that is an object", with(r#"{"Id":"r-1"}"#), ODD),
        nothing("two RequestIds", r#"{"Response":{"RequestId":"a","RequestId":"b"}}"#, ODD),
        nothing("a RequestId of half a surrogate pair", with(r#""\ud800""#), NO_JSON),
        vec![Answer::of(
            "a RequestId that steers the terminal",
            Reply::json(with(r#""\u001b[2J""#)),
            Believed::Receipt(r"\u{1b}[2J"),
        )],
    ]
    .concat()
}

fn errors() -> Vec<Answer> {
    let with = |error: &str| format!(r#"{{"Response":{{"RequestId":"r-1","Error":{error}}}}}"#);
    let refusal =
        |name, error: &str, code| vec![Answer::of(name, Reply::json(with(error)), Believed::Refusal(code))];
    let long = "x".repeat(100_000);
    [
        nothing("an error that is true", with("true"), ODD),
        nothing("an error that is text", with("\"InternalError\""), ODD),
        nothing("an error that is a number", with("500"), ODD),
        nothing("an error that is a list", with(r#"["InternalError","m"]"#), ODD),
        nothing("an empty error", with("{}"), "the response is an error without a code"),
        nothing(
            "an error with an empty code",
            with(r#"{"Code":""}"#),
            "the response is an error without a code",
        ),
        nothing(
            "an error whose code is null",
            with(r#"{"Code":null,"Message":"m"}"#),
            "the response is an error without a code",
        ),
        nothing("an error whose code is a number", with(r#"{"Code":500}"#), ODD),
        nothing("an error whose message is an object", with(r#"{"Code":"InternalError","Message":{}}"#), ODD),
        nothing("two errors", r#"{"Response":{"Error":{"Code":"A"},"Error":null,"RequestId":"r"}}"#, ODD),
        refusal("an error without a message", r#"{"Code":"InternalError"}"#, "InternalError"),
        refusal(
            "an error whose message is null",
            r#"{"Code":"InternalError","Message":null}"#,
            "InternalError",
        ),
        refusal(
            "an error that nobody documented",
            r#"{"Code":"FaultSchedule.Rain","Message":"m"}"#,
            "FaultSchedule.Rain",
        ),
        refusal(
            "an error with a message of 100,000 characters",
            &format!(r#"{{"Code":"InternalError","Message":"{long}"}}"#),
            "InternalError",
        ),
        vec![Answer::of("an error that is null", Reply::json(with("null")), Believed::Receipt("r-1"))],
        vec![Answer::of(
            "an error without a RequestId",
            Reply::json(r#"{"Response":{"Error":{"Code":"InternalError"}}}"#),
            Believed::Refusal("InternalError"),
        )],
    ]
    .concat()
}

/// Bodies that are not JSON, or not in UTF-8.
fn forms() -> Vec<Answer> {
    let utf16: Vec<u8> = RECEIPT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [
        nothing("nothing", "", "the response is empty"),
        nothing("blanks", "   \r\n", CUT),
        nothing("HTML", "<html><body>log in</body></html>", NO_JSON),
        nothing("XML", "<?xml version=\"1.0\"?><Response/>", NO_JSON),
        nothing("a page that steers the terminal", "\u{1b}[2J\u{1b}]0;owned\u{7}", NO_JSON),
        nothing("a receipt behind a byte order mark", format!("\u{feff}{RECEIPT}"), NO_JSON),
        nothing("a receipt in UTF-16", &utf16, NO_JSON),
        nothing("a receipt behind a guard", format!(")]}}',\n{RECEIPT}"), NO_JSON),
        nothing("a receipt in single quotes", RECEIPT.replace('"', "'"), NO_JSON),
        nothing("a receipt and a comma", RECEIPT.replace("}}", ",}}"), NO_JSON),
        nothing("half of a receipt", &RECEIPT[..20], CUT),
        nothing("bytes that are not UTF-8", b"{\"Response\":{\"RequestId\":\"\xff\"}}", NO_JSON),
        nothing(
            "bytes that are not UTF-8 where nobody looks",
            b"{\"Response\":{\"RequestId\":\"r\",\"More\":\"\xff\"}}",
            NO_JSON,
        ),
        nothing("NULs", vec![0; 1_000], NO_JSON),
        nothing("a hundred thousand brackets", "[".repeat(100_000), ODD),
        nothing("a hundred thousand braces", r#"{"a":"#.repeat(50_000), ""),
        nothing(
            "a receipt of a megabyte",
            format!("{RECEIPT}{}", " ".repeat(1 << 20)),
            "the response is larger than 262144 bytes",
        ),
    ]
    .concat()
}
