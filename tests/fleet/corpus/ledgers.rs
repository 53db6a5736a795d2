//! Ledgers that no run has written.

use dlc_fleet::ledger::Check;

use super::case::Kind;
use super::files::{BadFile, Content};

/// The head of a line that says `run`, and everything after its kind.
pub const RUN: &str = r#""schema":"dlc-fleet.ledger/1","tool_version":"0","plan":"p.csv","plan_digest":"0","regions":[],"endpoint":"simulator","simulated":true,"rate":20"#;

pub const KEY: &str =
    r#""region":"ap-guangzhou","data_engine_id":"DataEngine-a","new_image_version_id":"image-new""#;

pub const AT: &str = r#""at":"2026-11-24T03:23:51.582Z""#;

/// Refused at a line.
pub fn at(name: &'static str, content: impl Into<Content>, line: usize, says: &'static str) -> BadFile {
    BadFile::at(Kind::Ledger, name, "plan.ledger.jsonl", content, line, says)
}

/// Refused as a whole.
fn whole(name: &'static str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::whole(Kind::Ledger, name, "plan.ledger.jsonl", content, says)
}

pub fn sound(name: &'static str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::sound(Kind::Ledger, name, "plan.ledger.jsonl", content, says)
}

/// Seals lines as the writer does, whatever they say.
pub fn sealed(lines: &[String]) -> String {
    let (mut check, mut text) = (Check::default(), String::new());
    for line in lines {
        let (sealed, next) = check.seal(line);
        (check, text) = (next, text + &sealed + "\n");
    }
    text
}

/// A run's first line.
pub fn run() -> String {
    format!(r#"{{"seq":1,{AT},"run":"r1","kind":"run-started",{RUN}}}"#)
}

/// A line with these fields after number, time and run.
pub fn line(seq: usize, fields: &str) -> String {
    format!(r#"{{"seq":{seq},{AT},"run":"r1",{fields}}}"#)
}

pub fn job(seq: usize, fields: &str) -> String {
    line(seq, &format!("{fields},{KEY}"))
}

pub fn sent(seq: usize) -> String {
    job(seq, r#""kind":"sent","attempt":1"#)
}

/// A sound ledger of two lines.
pub fn two() -> String {
    sealed(&[run(), sent(2)])
}

/// A ledger whose second line is this one.
pub fn second(line: String) -> String {
    sealed(&[run(), line])
}

/// A ledger of a first line in which one thing is another.
pub fn first(from: &str, to: &str) -> String {
    assert!(run().contains(from), "{from}");
    sealed(&[run().replacen(from, to, 1)])
}

pub fn files() -> Vec<BadFile> {
    [foreign(), forms(), checks(), heads(), schemas(), super::lines::files(), ends(), paths()].concat()
}

/// Files that are something else.
fn foreign() -> Vec<BadFile> {
    let no_check = "it does not end with a check";
    vec![
        at("a text", "hello\n", 1, no_check),
        at("a blank line", "\n", 1, no_check),
        at("ten thousand blank lines", "\n".repeat(10_000), 1, no_check),
        at("HTML", "<html>\n</html>\n", 1, no_check),
        at("a CSV plan", "data_engine_id,region\n", 1, no_check),
        at("a list of JSON", "[1,2,3]\n", 1, no_check),
        at("an empty object", "{}\n", 1, no_check),
        at("null", "null\n", 1, no_check),
        at("an executable", b"\x7fELF\x02\x01\x01\0\n\0", 1, no_check),
        at("gzip", b"\x1f\x8b\x08\0\n", 1, "it is not UTF-8"),
        at("a picture", b"\x89PNG\r\n\x1a\n", 1, "it is not UTF-8"),
        at("UTF-16", b"\xff\xfe{\0}\0\n\0", 1, "it is not UTF-8"),
        at("a text without a line feed", "hello", 1, "not the beginning of a ledger"),
        at("an empty object without a line feed", "{}", 1, "not the beginning of a ledger"),
        at("a megabyte of NULs", vec![0; 1 << 20], 1, "longer than 1048576 bytes"),
        sound("an empty file", "", "0 lines"),
    ]
}

/// A sound ledger that went through other hands.
fn forms() -> Vec<BadFile> {
    let no_check = "it does not end with a check";
    let pretty = "{\n  \"seq\": 1\n}\n";
    vec![
        at("a byte order mark", format!("\u{feff}{}", two()), 1, "its check does not match"),
        at("CRLF", two().replace('\n', "\r\n"), 1, no_check),
        at("blanks at the end of a line", two().replacen('\n', " \n", 1), 1, no_check),
        at("a blank line between", two().replacen('\n', "\n\n", 1), 2, no_check),
        at("a blank line at the end", two() + "\n", 3, no_check),
        at("made pretty", pretty, 1, no_check),
        at("keys with blanks after them", two().replacen("\":", "\": ", 1), 1, "its check does not match"),
        at(
            "keys in another order",
            two().replacen(&format!(r#""seq":1,{AT}"#), &format!(r#"{AT},"seq":1"#), 1),
            1,
            "its check does not match",
        ),
        at("a ledger twice", two() + &two(), 3, "its check does not match"),
        at(
            "the second half of a ledger",
            two().lines().skip(1).map(|line| line.to_owned() + "\n").collect::<String>(),
            1,
            "its check does not match",
        ),
        at(
            "a line of the first half missing its LF",
            two().replacen('\n', "", 1),
            1,
            "its check does not match",
        ),
    ]
}

fn checks() -> Vec<BadFile> {
    let check = |to: fn(&str) -> String| {
        let text = two();
        let at = text.find("\"check\":\"").expect("a check") + 9;
        format!("{}{}{}", &text[..at], to(&text[at..at + 16]), &text[at + 16..])
    };
    let wrong = "its check does not match";
    vec![
        at("a check of zeros", check(|_| "0".repeat(16)), 1, wrong),
        at("a check in capitals", check(|check| format!("F{}", check[1..].to_ascii_uppercase())), 1, wrong),
        at("a check that is too short", check(|check| check[..15].to_owned()), 1, wrong),
        at("a check that is too long", check(|check| check.to_owned() + "0"), 1, wrong),
        at("an empty check", check(|_| String::new()), 1, wrong),
        at("no check", r#"{"seq":1}"#.to_owned() + "\n", 1, "it does not end with a check"),
        at(
            "a check that is a number",
            r#"{"seq":1,"check":1}"#.to_owned() + "\n",
            1,
            "it does not end with a check",
        ),
        at(
            "two checks",
            two().replacen(r#"","check":""#, r#"","check":"0","check":""#, 1),
            2,
            "its check does not match",
        ),
    ]
}

/// Number, time and run of a line, each wrong in its way, under a check that holds.
fn heads() -> Vec<BadFile> {
    let seq = |seq: &str| first(r#""seq":1"#, &format!(r#""seq":{seq}"#));
    let time = |time: &str| first(AT, &format!(r#""at":{time}"#));
    vec![
        at("a first line numbered 0", seq("0"), 1, "its `seq` is 0 instead of 1"),
        at("a first line numbered 2", seq("2"), 1, "its `seq` is 2 instead of 1"),
        at("a negative number", seq("-1"), 1, "invalid value"),
        at("a number with a fraction", seq("1.0"), 1, "invalid type"),
        at("a number as text", seq(r#""1""#), 1, "invalid type"),
        at("a number beyond sixty-four bits", seq("18446744073709551616"), 1, "invalid type"),
        at("the largest number", seq("18446744073709551615"), 1, "instead of 1"),
        at("a number with an exponent beyond all", seq("1e999"), 1, "out of range"),
        at("no number", seq("null"), 1, "invalid type"),
        at("a number twice", seq(r#"1,"seq":1"#), 1, "duplicate field `seq`"),
        at("an empty time", time(r#""""#), 1, "`at` is not a time"),
        at("yesterday", time(r#""yesterday""#), 1, "`at` is not a time"),
        at("the thirteenth month", time(r#""2026-13-01T00:00:00Z""#), 1, "`at` is not a time"),
        at("a time of year 99999", time(r#""99999-01-01T00:00:00Z""#), 1, "`at` is not a time"),
        at("a time that is a number", time("1732418631"), 1, "invalid type"),
        at("a time that steers the terminal", time(r#""\u001b[31m""#), 1, "`at` is not a time"),
        at("a run that is a number", first(r#""run":"r1""#, r#""run":1"#), 1, "invalid type"),
        at("a run that is null", first(r#""run":"r1""#, r#""run":null"#), 1, "invalid type"),
        sound("a time of the future", time(r#""9999-12-30T00:00:00.000Z""#), "1 lines"),
        sound(
            "a time before the last line",
            sealed(&[run(), sent(2).replacen("2026", "1999", 1)]),
            "2 lines",
        ),
    ]
}

fn schemas() -> Vec<BadFile> {
    let schema = |schema: &str| first(r#""dlc-fleet.ledger/1""#, schema);
    vec![
        whole(
            "a schema of the future",
            schema(r#""dlc-fleet.ledger/2""#),
            "was written by a later version: line 1",
        ),
        whole(
            "a schema of the far future",
            schema(r#""dlc-fleet.ledger/4000000000""#),
            "was written by a later version: line 1",
        ),
        at("a schema of the past", schema(r#""dlc-fleet.ledger/0""#), 1, "its schema is dlc-fleet.ledger/0"),
        at("a schema beyond numbers", schema(r#""dlc-fleet.ledger/99999999999""#), 1, "its schema is"),
        at("a schema with another zero", schema(r#""dlc-fleet.ledger/01""#), 1, "its schema is"),
        at("a schema of something else", schema(r#""other-tool/1""#), 1, "its schema is other-tool/1"),
        at("a schema that is a number", schema("1"), 1, "invalid type"),
        at("a schema that is null", schema("null"), 1, "invalid type"),
        at("no schema", first(r#""schema":"dlc-fleet.ledger/1","#, ""), 1, "missing field `schema`"),
    ]
}

/// What a crash, or somebody, left at the end.
fn ends() -> Vec<BadFile> {
    let endless = "longer than 1048576 bytes";
    vec![
        sound("half a line at the end", two() + r#"{"seq":3,"at":"#, "14 bytes torn"),
        sound("one byte at the end", two() + "{", "1 bytes torn"),
        sound("NULs that a crash left", [two().into_bytes(), vec![0; 4096]].concat(), "4096 bytes torn"),
        sound("half a character at the end", [two().as_bytes(), b"{\xe5"].concat(), "2 bytes torn"),
        sound(
            "nearly a megabyte without a line feed",
            two() + &"x".repeat((1 << 20) - 1),
            "1048575 bytes torn",
        ),
        at("a megabyte without a line feed", two() + &"x".repeat(1 << 20), 3, endless),
        at("megabytes without a line feed", two() + &"x".repeat(super::huge()), 3, endless),
        at("a line of a megabyte and more", two() + &"x".repeat(2 << 20) + "\n", 3, endless),
        at(
            "NULs and a line feed",
            [two().as_bytes(), &[0; 100], b"\n"].concat(),
            3,
            "it does not end with a check",
        ),
        at("a merge conflict", two() + "<<<<<<< HEAD\n", 3, "it does not end with a check"),
    ]
}

fn paths() -> Vec<BadFile> {
    let not_regular = "it is not a regular file";
    vec![
        whole("a directory", Content::Directory, not_regular),
        whole("a pipe", Content::Pipe, not_regular),
        whole("a device without end", Content::LinkTo("/dev/zero"), not_regular),
    ]
}
