//! Control characters, marks of writing direction and invisible characters from outside: whoever puts them where, none
//! of them is written raw to a terminal, a report, a ledger or a log.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use dlc_fleet::cloud::{LIST_ENGINES, LIST_IMAGES, SWITCH};
use proptest::prelude::*;
use serde_json::json;

use crate::corpus::ledgers::{job, run as run_line, sealed, sent};
use crate::corpus::server::{Received, Reply, Server, block_on};
use crate::stage::{LEDGER, Ran, executable, finish, without_keys};

/// Characters that must not be written raw: C0, DEL, C1, marks of direction, and characters that take no room.
const DANGEROUS: [char; 34] = [
    '\u{0}',
    '\u{7}',
    '\u{8}',
    '\u{b}',
    '\u{c}',
    '\r',
    '\n',
    '\t',
    '\u{1b}',
    '\u{1f}',
    '\u{7f}',
    '\u{80}',
    '\u{85}',
    '\u{9b}',
    '\u{9d}',
    '\u{9f}',
    '\u{ad}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202c}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2069}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0001}',
    '\u{e0041}',
];

/// True for what must stand nowhere in output that is not drawn on a terminal.
fn is_raw(letter: char) -> bool {
    let allowed = matches!(letter, '\n' | '\t');
    !allowed && (letter.is_control() || DANGEROUS.contains(&letter))
}

/// Every one of them, each with something visible behind it.
fn everything() -> String {
    let mut text = String::from("seen");
    for letter in DANGEROUS {
        text.extend([letter, 'x']);
    }
    text + "]0;owned"
}

/// Where the text stands in what the service answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Within {
    /// Code, message and `RequestId` of a refused switch.
    Refusal,
    /// `RequestId` and content type of a receipt.
    Receipt,
    /// The page that answers a switch.
    Page,
    /// Names and images of the plan's engine, and engines beside it.
    Listing,
    /// Code, message and `RequestId` of a refused listing.
    RefusedListing,
    /// The page that answers a listing.
    ListingPage,
    /// Names of images.
    Images,
    /// Who is calling.
    Caller,
    /// Code and message of STS.
    RefusedCaller,
    /// The role of the machine and its keys.
    Metadata,
}

const ALL: [Within; 10] = [
    Within::Refusal,
    Within::Receipt,
    Within::Page,
    Within::Listing,
    Within::RefusedListing,
    Within::ListingPage,
    Within::Images,
    Within::Caller,
    Within::RefusedCaller,
    Within::Metadata,
];

fn refusal(text: &str) -> Reply {
    Reply::json(
        json!({"Response": {"RequestId": text, "Error": {"Code": text, "Message": text}}}).to_string(),
    )
}

fn page(text: &str) -> Reply {
    Reply::http("502 Bad Gateway", "content-type: text/html", format!("<html>{text}</html>"))
}

/// What a header can hold of a text.
fn in_a_header(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_control()).collect()
}

fn listing(text: &str, hostile: bool) -> Reply {
    let plain = |usual: &str| if hostile { text.to_owned() } else { usual.to_owned() };
    Reply::json(
        json!({"Response": {"RequestId": plain("r"), "TotalCount": 3, "DataEngines": [
            {
                "DataEngineId": "DataEngine-0", "State": 2, "DataEngineName": plain("nightly"),
                "ImageVersionId": plain("image-old"), "ImageVersionName": plain("Standard"),
                "ChildImageVersionId": plain("child"), "EngineTypeDetail": plain("StandardSpark")
            },
            {"DataEngineId": plain("DataEngine-9"), "State": 2, "ImageVersionId": "image-old"},
            {"DataEngineName": plain("nobody"), "State": 2}
        ]}})
        .to_string(),
    )
}

/// The service, with the text where it is wanted and honest everywhere else.
fn answer(within: Within, text: &str, received: &Received) -> Reply {
    let action = |name: &str| received.action == name.to_ascii_lowercase();
    if action(SWITCH) {
        return match within {
            Within::Refusal => refusal(text),
            Within::Page => page(text),
            Within::Receipt => Reply::http(
                "200 OK",
                &format!("content-type: text/{}", in_a_header(text)),
                json!({"Response": {"RequestId": text}}).to_string(),
            ),
            _ => Reply::json(r#"{"Response":{"RequestId":"r"}}"#),
        };
    }
    if action(LIST_ENGINES) {
        return match within {
            Within::RefusedListing => refusal(text),
            Within::ListingPage => page(text),
            _ => listing(text, within == Within::Listing),
        };
    }
    if action(LIST_IMAGES) {
        let image = json!({"ImageVersionId": text, "ImageVersion": text, "EngineType": text, "State": 2});
        let nameless = json!({"ImageVersion": text});
        return match within {
            Within::Images => Reply::json(
                json!({"Response": {"RequestId": text, "ImageParentVersions": [image, nameless]}})
                    .to_string(),
            ),
            _ => refusal(text),
        };
    }
    match (within, received.action.as_str()) {
        (Within::RefusedCaller, _) => refusal(text),
        (_, line) if line.starts_with("get ") && line.contains("security-credentials/ ") => {
            Reply::http("200 OK", "content-type: text/plain", "fleet")
        }
        (_, line) if line.starts_with("get ") => Reply::json(json!({"Code": text, "Token": text}).to_string()),
        _ => Reply::json(
            json!({"Response": {
                "RequestId": text, "AccountId": text, "Arn": text, "UserId": text, "PrincipalId": text, "Type": text
            }})
            .to_string(),
        ),
    }
}

/// The commands that show what the service says there, with their flags.
fn command_lines(within: Within) -> Vec<Vec<&'static str>> {
    let run = |flags: &[&'static str]| [&["run", "plan.csv", "--max-attempts", "1"], flags].concat();
    let quick = ["--yes", "--min-ready", "0s", "--resend-after", "0s", "--wait-timeout", "200ms"];
    match within {
        Within::Refusal | Within::Receipt | Within::Page => {
            vec![
                run(&quick),
                run(&[&quick[..], &["--output", "json"]].concat()),
                run(&["--yes", "--no-verify"]),
            ]
        }
        Within::Listing | Within::RefusedListing | Within::ListingPage | Within::Images => vec![
            run(&["--dry-run"]),
            run(&["--dry-run", "--output", "json"]),
            run(&quick),
            run(&[&quick[..], &["--output", "json"]].concat()),
        ],
        Within::Caller | Within::RefusedCaller | Within::Metadata => vec![
            vec!["whoami"],
            vec!["whoami", "--output", "json"],
            run(&["--dry-run", "--expect-account", "100000000001"]),
            run(&["--dry-run", "--role-arn", "qcs::cam::uin/1:roleName/x"]),
        ],
    }
}

/// Fails where a text, by its name, holds a character raw.
fn assert_clean(name: &str, text: &str, who: &str) {
    if let Some(at) = text.find(is_raw) {
        let letter = text[at..].chars().next().unwrap_or_default();
        let line = text[..at].lines().last().unwrap_or_default();
        panic!("{who}: {name} holds {letter:?} behind {line:?}");
    }
}

/// Looks at everything that a command printed, and at every file that it wrote or added to.
fn assert_all_clean(folder: &Path, ran: &Ran, who: &str) {
    assert_ne!(ran.code, Some(70), "{who}: {}", ran.stderr);
    assert_clean("stdout", &ran.stdout, who);
    assert_clean("stderr", &ran.stderr, who);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
        if path.is_file() && !name.starts_with("plan.csv") {
            assert_clean(&name, &String::from_utf8_lossy(&std::fs::read(&path).expect("a file")), who);
        }
    }
}

/// Runs what shows a text from there, and looks at all that comes of it. Gives ledger and log.
fn play(within: Within, text: &str, all_commands: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = "data_engine_id,new_image_version_id,region\nDataEngine-0,image-new,ap-guangzhou\n";
    std::fs::write(folder.path().join("plan.csv"), plan).expect("a plan");
    let hostile = text.to_owned();
    block_on(async {
        let server = Server::start(move |received| answer(within, &hostile, received)).await;
        let endpoint = format!("http://{}", server.address);
        let lines = command_lines(within);
        let lines = if all_commands { &lines[..] } else { &lines[..1] };
        for line in lines {
            let mut command = executable(folder.path());
            command.args(line).args(["--endpoint", &endpoint, "-vvv", "--log-file", "all.log"]);
            if within == Within::Metadata {
                without_keys(&mut command);
                command.env("DLC_FLEET_METADATA_ENDPOINT", &endpoint);
            }
            assert_all_clean(folder.path(), &finish(command), &format!("{within:?} {line:?}"));
        }
    });
    if folder.path().join(LEDGER).exists() {
        for line in [&["show"][..], &["show", "--json"], &["export"], &["check"]] {
            let mut command = executable(folder.path());
            command.arg("ledger").args(line).arg(LEDGER);
            assert_all_clean(folder.path(), &finish(command), &format!("{within:?} ledger {line:?}"));
        }
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    read(LEDGER) + &read("all.log")
}

#[test]
fn nothing_that_a_service_says_is_written_raw_and_all_of_it_is_shown() {
    for within in ALL {
        let written = play(within, &everything(), true);
        let quiet = [Within::Listing, Within::Images, Within::Caller, Within::Metadata].contains(&within);
        assert!(quiet || written.contains("\\u{1b}"), "{within:?}: an escape stands in its place: {written}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_a_service_answers_nothing_is_written_raw(
        within in prop::sample::select(&ALL),
        letters in prop::collection::vec(prop_oneof![
            prop::sample::select(&DANGEROUS), "[a-zA-Z\\\\.{}<>\"]".prop_map(|text| text.chars().next().unwrap_or('a')),
            any::<char>(),
        ], 1..20),
    ) {
        play(within, &letters.into_iter().collect::<String>(), false);
    }
}

/// What the system can hand to a program in a path, an argument or a variable.
fn without_nul() -> String {
    everything().replace('\0', "")
}

/// A command without any service.
fn offline(folder: &Path, line: &[&str]) -> Command {
    let mut command = executable(folder);
    command.args(line);
    command
}

#[test]
fn nothing_that_is_typed_or_set_is_written_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = "data_engine_id,new_image_version_id,region\nDataEngine-0,image-new,ap-guangzhou\n";
    std::fs::write(folder.path().join("plan.csv"), plan).expect("a plan");
    let text = without_nul();
    let flag = format!("--{text}");
    for line in [
        &["run", "plan.csv", "--dry-run", "--offline", "--region", &text][..],
        &["run", "plan.csv", "--dry-run", "--endpoint", &text],
        &["run", "plan.csv", "--dry-run", "--profile", &text],
        &["run", "plan.csv", "--dry-run", "--ca-file", &text],
        &["run", "plan.csv", "--yes", "--endpoint", "127.0.0.1", &text],
        &["run", "plan.csv", "--yes", &flag],
        &["run", "plan.csv", "--rate", &text],
        &["run", &text, "--dry-run"],
        &["run", "plan.csv", "--dry-run", "--offline", "--ledger", &text],
        &["run", "plan.csv", "--dry-run", "--offline", "--log-file", &format!("no/{text}")],
        &["run", "plan.csv", "--dry-run", "--role-arn", &text, "--endpoint", "http://127.0.0.1:1"],
        &["run", "plan.csv", "--simulate", "--yes", "--ledger", &format!("{text}/x")],
        &["check", &text],
        &["simulate", "--region", "ap-guangzhou", "--listen", &text],
        &["simulate", "--region", "ap-guangzhou", "--scenario", &text],
        &["ledger", "check", &text],
        &["ledger", "show", "plan.csv", &text],
        &[&text],
    ] {
        let ran = finish(offline(folder.path(), line));
        assert_clean("stdout", &ran.stdout, &format!("{line:?}"));
        assert_clean("stderr", &ran.stderr, &format!("{line:?}"));
        assert!(ran.code.is_some_and(|code| code != 70), "{line:?}: {}", ran.stderr);
    }
    for variable in [
        "TENCENTCLOUD_REGION",
        "TENCENTCLOUD_SECRET_ID",
        "TENCENTCLOUD_TOKEN",
        "TENCENTCLOUD_ROLE_ARN",
        "TCCLI_PROFILE",
        "TENCENTCLOUD_PROFILE",
        "TKE_ROLE_ARN",
        "DLC_FLEET_METADATA_ENDPOINT",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "RUST_LOG",
        "HOME",
    ] {
        let mut command = offline(
            folder.path(),
            &[
                "whoami",
                "-vv",
                "--log-file",
                "all.log",
                "--endpoint",
                "http://127.0.0.1:1",
                "--request-timeout",
                "1s",
            ],
        );
        if variable != "TENCENTCLOUD_SECRET_ID" {
            without_keys(&mut command);
        }
        if variable == "TENCENTCLOUD_ROLE_ARN" {
            command = offline(folder.path(), &["whoami", "-vv", "--endpoint", "http://127.0.0.1:1"]);
        }
        command.env(variable, &text);
        assert_all_clean(folder.path(), &finish(command), variable);
    }
}

#[test]
fn a_path_is_written_with_escapes_to_reports_and_ledgers_and_quoted_for_the_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("{}.csv", without_nul().replace('/', ""));
    let plan = "data_engine_id,new_image_version_id,region\nDataEngine-0,image-new,ap-guangzhou\n";
    std::fs::write(folder.path().join(&name), plan).expect("a plan");
    std::fs::write(
        folder.path().join("quick.yaml"),
        "run_defaults: {min_ready: 200ms}\nfaults: [{fault: ResourceNotFound.ImageVersionNotFound, action: SwitchDataEngineImage}]\n",
    )
    .expect("written");
    for line in [
        &["check", &name][..],
        &["run", &name, "--simulate=quick.yaml", "--dry-run"],
        &["run", &name, "--simulate=quick.yaml", "--dry-run", "--output", "json"],
        &["run", &name, "--simulate=quick.yaml", "-vv"],
        &["run", &name, "--simulate=quick.yaml", "--output", "json", "--log-file", "all.log"],
    ] {
        let ran = finish(offline(folder.path(), line));
        assert_all_clean(folder.path(), &ran, &format!("{line:?}"));
        assert!(ran.code.is_some_and(|code| code < 2), "{line:?}: {}", ran.stderr);
    }
}

#[test]
fn nothing_that_a_plan_says_is_written_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let head = "data_engine_id,new_image_version_id,region,note,wave,data_engine_name\n";
    let text = everything().replace(['\r', '\n'], "");
    for (what, row) in [
        ("id", format!("DataEngine-{text},image-new,ap-guangzhou,,,")),
        ("image", format!("DataEngine-0,image-{text},ap-guangzhou,,,")),
        ("region", format!("DataEngine-0,image-new,ap-{text},,,")),
        ("note", format!("DataEngine-0,image-new,ap-guangzhou,{text},,")),
        ("wave", format!("DataEngine-0,image-new,ap-guangzhou,,{text},")),
        ("name", format!("DataEngine-0,image-new,ap-guangzhou,,,{text}")),
    ] {
        std::fs::write(folder.path().join("plan.csv"), format!("{head}{row}\n")).expect("a plan");
        let ran = finish(offline(folder.path(), &["check", "plan.csv"]));
        assert_all_clean(folder.path(), &ran, what);
        assert_eq!(ran.code, Some(2), "{what}: {}", ran.stderr);
    }
    // one at a time, since the first that is found decides what is said
    for letter in DANGEROUS.into_iter().filter(|letter| !matches!(letter, '\r' | '\n' | '\t' | '\0')) {
        let row = format!("DataEngine-0,image-new,ap-guangzhou,a{letter}b,,");
        std::fs::write(folder.path().join("plan.csv"), format!("{head}{row}\n")).expect("a plan");
        let ran = finish(offline(folder.path(), &["check", "plan.csv"]));
        assert_all_clean(folder.path(), &ran, &format!("a note with {letter:?}"));
        assert_eq!(ran.code, Some(2), "{letter:?}: {}", ran.stderr);
    }
}

#[test]
fn nothing_that_a_ledger_says_is_written_raw_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = "data_engine_id,new_image_version_id,region\nDataEngine-a,image-new,ap-guangzhou\n";
    std::fs::write(folder.path().join("plan.csv"), plan).expect("a plan");
    let text = everything();
    let said = json!({"code": text, "message": text, "request_id": text, "image_before": text}).to_string();
    let said = said.trim_start_matches('{').trim_end_matches('}');
    let failed = job(3, &format!(r#""kind":"failed",{said}"#));
    let ledger = sealed(&[run_line(), sent(2), failed]);
    // under a name by which it is not looked at as a whole
    let path = folder.path().join("plan.csv.hostile");
    std::fs::write(&path, &ledger).expect("a ledger");
    for line in [
        &["ledger", "show", "plan.csv.hostile"][..],
        &["ledger", "show", "--json", "plan.csv.hostile"],
        &["ledger", "export", "plan.csv.hostile"],
        &["run", "plan.csv", "--simulate", "--dry-run", "--skip-failed", "--ledger", "plan.csv.hostile"],
        &["run", "plan.csv", "--simulate", "--yes", "--skip-failed", "--ledger", "plan.csv.hostile"],
        &[
            "run",
            "plan.csv",
            "--simulate",
            "--yes",
            "--skip-failed",
            "--output",
            "json",
            "--ledger",
            "plan.csv.hostile",
        ],
    ] {
        let ran = finish(offline(folder.path(), line));
        assert_all_clean(folder.path(), &ran, &format!("{line:?}"));
        assert!(ran.code.is_some_and(|code| code < 2), "{line:?}: {}{}", ran.stdout, ran.stderr);
    }
    let grown = std::fs::read_to_string(&path).expect("a ledger");
    assert_clean("what was added to the ledger", &grown[ledger.len()..], "the runs");
}
