//! Scenarios of weather that there is not.

use super::case::Kind;
use super::files::{BadFile, Content};

/// Refused at a line.
fn at(name: &'static str, content: impl Into<Content>, line: usize, says: &'static str) -> BadFile {
    BadFile::at(Kind::Scenario, name, "storm.yaml", content, line, says)
}

/// Refused as a whole.
fn whole(name: &'static str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::whole(Kind::Scenario, name, "storm.yaml", content, says)
}

fn sound(name: &'static str, content: &str) -> BadFile {
    BadFile::sound(Kind::Scenario, name, "storm.yaml", content, "Scenario")
}

/// A scenario with one spell, at line 3.
fn rule(keys: &str) -> String {
    format!("seed: 1\nfaults:\n  - {{{keys}}}\n")
}

pub fn files() -> Vec<BadFile> {
    [numbers(), times(), faults(), forms(), whole_files()].concat()
}

fn numbers() -> Vec<BadFile> {
    vec![
        at("a negative seed", "seed: -1\n", 1, "invalid u64"),
        at("half a seed", "seed: 1.5\n", 1, ""),
        at("a seed beyond sixty-four bits", "seed: 18446744073709551616\n", 1, ""),
        at("a seed in words", "seed: seven\n", 1, ""),
        at("a seed that is a list", "seed: [1]\n", 1, ""),
        at("no calls at all", "limit: 0\n", 1, "limit is 0; give 1 or more"),
        at("fewer calls than none", "limit: -1\n", 1, ""),
        at("more calls than thirty-two bits", "limit: 4294967296\n", 1, ""),
        at("a window without a shape", "window: round\n", 1, "round"),
        at("images that change sometimes", "image_changes: sometimes\n", 1, "sometimes"),
    ]
}

fn times() -> Vec<BadFile> {
    let latency = |median: &str, worst: &str| format!("latency: {{median: {median}, worst: {worst}}}\n");
    vec![
        at("a latency without its worst", "latency: {median: 1s}\n", 1, "worst"),
        at(
            "a median that is the worst",
            latency("2s", "1s"),
            1,
            "median is longer than worst; exchange them",
        ),
        at("a negative time", latency("-1s", "1s"), 1, "is negative; remove the minus"),
        at("a time without a unit", latency("100", "1s"), 1, "write it like 120ms"),
        at("a time in parsecs", latency("5 parsecs", "1s"), 1, "write it like 120ms"),
        at("a time of days", latency("1ms", "25h"), 1, "is no time of up to 24 hours"),
        at("a time beyond all clocks", latency("1ms", "99999999999999999999h"), 1, "write it like 120ms"),
        at("a time that is a list", latency("[1s]", "1s"), 1, ""),
        at("a time that is null", latency("~", "1s"), 1, ""),
        at("a latency that is a list", "latency: [120ms, 600ms]\n", 1, ""),
        at("a latency that is a number", "latency: 5\n", 1, ""),
        at("an unknown key in a latency", "latency: {median: 1s, worst: 1s, best: 1s}\n", 1, "best"),
        at(
            "switching that ends before it begins",
            "switching: {least: 2s, most: 1s}\n",
            1,
            "least is longer than most",
        ),
        at("a clock a day and more off", "skew: 25h\n", 1, "up to 24 hours"),
        at("an unknown wait", "clock: {patience: 1s}\n", 1, "patience"),
    ]
}

fn faults() -> Vec<BadFile> {
    vec![
        at("faults that are text", "seed: 1\nfaults: rain\n", 2, ""),
        at("a spell that is text", "faults:\n  - rain\n", 2, ""),
        at("a spell without a fate", rule("times: 1"), 3, "fault"),
        at("a fate that there is not", rule("fault: frogs"), 3, "frogs"),
        at("an HTTP status of two digits", rule("fault: http-99"), 3, "http-99"),
        at("an HTTP status of letters", rule("fault: http-abc"), 3, "http-abc"),
        at("an undocumented fate without a code", rule("fault: undocumented"), 3, "undocumented"),
        at("an undocumented fate with an empty code", rule("fault: 'undocumented '"), 3, "code is missing"),
        at("an unknown way to apply", rule("fault: fin, applied: maybe"), 3, "use never, before or late 5s"),
        at("late by nothing", rule("fault: fin, applied: late"), 3, "use never, before or late 5s"),
        at("late in the past", rule("fault: fin, applied: late -5s"), 3, "is in the past; remove the minus"),
        at(
            "applied where nothing arrives",
            rule("fault: no-connection, applied: before"),
            3,
            "applied has no meaning; remove it",
        ),
        at("more than all engines", rule("fault: fin, engines: 101%"), 3, "selects no engines"),
        at("fewer than no engines", rule("fault: fin, engines: -3%"), 3, "selects no engines"),
        at("a share that is no number", rule("fault: fin, engines: NaN%"), 3, "selects no engines"),
        at("an endless share", rule("fault: fin, engines: inf%"), 3, "selects no engines"),
        at("no engines", rule("fault: fin, engines: 0"), 3, "selects no engines"),
        at("some engines", rule("fault: fin, engines: some"), 3, "selects no engines"),
        at("engines in lists of lists", rule("fault: fin, engines: [[a]]"), 3, ""),
        at("engines that are a mapping", rule("fault: fin, engines: {a: b}"), 3, ""),
        at(
            "calls that nobody takes",
            rule("fault: fin, requests_per_second: 3"),
            3,
            "requests_per_second is only for the fault other-client; remove it",
        ),
        at(
            "another client that takes nothing",
            rule("fault: other-client"),
            3,
            "other-client needs requests_per_second",
        ),
        at(
            "another client of one engine",
            rule("fault: other-client, requests_per_second: 3, engines: [a]"),
            3,
            "remove engines and times",
        ),
        at("never", rule("fault: fin, times: 0"), 3, "times is 0; give 1 or more"),
        at("over before it begins", rule("fault: fin, from: 5s, until: 3s"), 3, "until is not after from"),
        at(
            "an action that there is not",
            rule("fault: fin, action: DropDatabase"),
            3,
            "there is no action DropDatabase",
        ),
        at(
            "engines where none are named",
            rule("fault: fin, action: DescribeDataEngines, engines: [a]"),
            3,
            "names no engine",
        ),
        at("an unknown key in a spell", rule("fault: fin, luck: bad"), 3, "luck"),
        at("a fate that steers the terminal", rule("fault: \"\\e[31mfin\""), 3, ""),
    ]
}

fn forms() -> Vec<BadFile> {
    let level =
        |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    let bomb = format!("a0: &a0 [x]\n{}", (1..12).map(level).collect::<String>());
    vec![
        at("an unknown key", "seed: 1\nmood: bad\n", 2, "mood"),
        at("a key twice", "seed: 1\nseed: 2\n", 2, "seed"),
        at("a list", "- seed: 1\n", 1, ""),
        at("a text", "storm\n", 1, ""),
        at("a bracket that stays open", "faults: [\n", 1, "unclosed bracket"),
        at("a tab that indents", "faults:\n\t- {fault: fin}\n", 2, ""),
        at("a second document", "seed: 1\n---\nseed: 2\n", 3, "one scenario in each file"),
        at("a use of no anchor", "seed: *nowhere\n", 1, ""),
        at("an alias bomb", bomb, 1, ""),
        at("a hundred thousand brackets", format!("faults: {}", "[".repeat(100_000)), 1, ""),
        at("a NUL", "seed: 1\0\n", 1, ""),
        at("CSV", "data_engine_id,region\n", 1, ""),
        sound("an empty file", ""),
        sound("comments alone", "# fine\n"),
        sound("null", "~\n"),
        sound("an empty mapping", "{}\n"),
        sound("no faults", "faults: []\n"),
    ]
}

fn whole_files() -> Vec<BadFile> {
    let cannot = "cannot be read";
    vec![
        whole("a scenario that is not there", Content::Nothing, cannot),
        whole("a directory", Content::Directory, "not a regular file"),
        whole("a pipe", Content::Pipe, "not a regular file"),
        whole("a device without end", Content::LinkTo("/dev/zero"), "not a regular file"),
        whole("a link to itself", Content::LinkTo("storm.yaml"), cannot),
        whole("five megabytes", "#".repeat(5 << 20), "larger than 4194304 bytes"),
        whole("bytes that are not UTF-8", b"seed: \xff\n", cannot),
        whole("UTF-16", b"\xff\xfes\0e\0", cannot),
    ]
}
