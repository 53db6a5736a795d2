//! Scenarios with mistakes.

use super::case::Kind;
use super::files::{BadFile, Content};

/// Refused with a line.
fn at(name: &'static str, content: impl Into<Content>, line: usize, says: &'static str) -> BadFile {
    BadFile::at(Kind::Scenario, name, "scenario.yaml", content, line, says)
}

/// Refused as a whole.
fn whole(name: &'static str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::whole(Kind::Scenario, name, "scenario.yaml", content, says)
}

fn sound(name: &'static str, content: &str) -> BadFile {
    BadFile::sound(Kind::Scenario, name, "scenario.yaml", content, "Scenario")
}

/// A scenario with one fault rule, at line 3.
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
        at("a rate limit of zero", "rate_limit: 0\n", 1, "write 1 or more"),
        at("a negative rate limit", "rate_limit: -1\n", 1, ""),
        at("a rate limit beyond thirty-two bits", "rate_limit: 4294967296\n", 1, ""),
        at("an unknown window", "rate_limit_window: round\n", 1, "round"),
        at("an unknown time of the image change", "image_changes: sometimes\n", 1, "sometimes"),
    ]
}

fn times() -> Vec<BadFile> {
    let latency = |median: &str, max: &str| format!("latency: {{median: {median}, max: {max}}}\n");
    vec![
        at("a latency without max", "latency: {median: 1s}\n", 1, "max"),
        at("a median above max", latency("2s", "1s"), 1, "median is longer than max; exchange them"),
        at("a negative time", latency("-1s", "1s"), 1, "is negative; remove the minus sign"),
        at("a time without a unit", latency("100", "1s"), 1, "write, for example, 120ms"),
        at("a time in an unknown unit", latency("5 parsecs", "1s"), 1, "write, for example, 120ms"),
        at("a time of days", latency("1ms", "25h"), 1, "is not a duration of up to 24 hours"),
        at("a time that overflows", latency("1ms", "99999999999999999999h"), 1, "write, for example, 120ms"),
        at("a time that is a list", latency("[1s]", "1s"), 1, ""),
        at("a time that is null", latency("~", "1s"), 1, ""),
        at("a latency that is a list", "latency: [120ms, 600ms]\n", 1, ""),
        at("a latency that is a number", "latency: 5\n", 1, ""),
        at("an unknown key in a latency", "latency: {median: 1s, max: 1s, best: 1s}\n", 1, "best"),
        at(
            "a switch time whose min is above max",
            "switching: {min: 2s, max: 1s}\n",
            1,
            "min is longer than max",
        ),
        at("a clock skew of more than a day", "clock_skew: 25h\n", 1, "up to 24 hours"),
        at("an unknown run default", "run_defaults: {patience: 1s}\n", 1, "patience"),
    ]
}

fn faults() -> Vec<BadFile> {
    vec![
        at("faults that are text", "seed: 1\nfaults: x\n", 2, ""),
        at("a rule that is text", "faults:\n  - x\n", 2, ""),
        at("a rule without a fault", rule("times: 1"), 3, "fault"),
        at("an unknown fault", rule("fault: unknown"), 3, "is not a fault"),
        at("an HTTP status of two digits", rule("fault: http-99"), 3, "http-99"),
        at("an HTTP status of letters", rule("fault: http-abc"), 3, "http-abc"),
        at("an undocumented code that is missing", rule("fault: undocumented"), 3, "undocumented"),
        at("an undocumented code that is empty", rule("fault: 'undocumented '"), 3, "code is missing"),
        at(
            "an unknown value of applied",
            rule("fault: close-after-reading, applied: maybe"),
            3,
            "use never, before or after 5s",
        ),
        at(
            "applied after nothing",
            rule("fault: close-after-reading, applied: after"),
            3,
            "use never, before or after 5s",
        ),
        at(
            "applied in the past",
            rule("fault: close-after-reading, applied: after -5s"),
            3,
            "is negative; remove the minus sign",
        ),
        at(
            "applied although nothing is processed",
            rule("fault: no-connection, applied: before"),
            3,
            "applied has no meaning with the fault no-connection; remove it",
        ),
        at(
            "more than all engines",
            rule("fault: close-after-reading, engines: 101%"),
            3,
            "selects no engines",
        ),
        at(
            "fewer than no engines",
            rule("fault: close-after-reading, engines: -3%"),
            3,
            "selects no engines",
        ),
        at(
            "a share that is no number",
            rule("fault: close-after-reading, engines: NaN%"),
            3,
            "selects no engines",
        ),
        at("an endless share", rule("fault: close-after-reading, engines: inf%"), 3, "selects no engines"),
        at("no engines", rule("fault: close-after-reading, engines: 0"), 3, "selects no engines"),
        at("some engines", rule("fault: close-after-reading, engines: some"), 3, "selects no engines"),
        at("engines in lists of lists", rule("fault: close-after-reading, engines: [[a]]"), 3, ""),
        at("engines that are a mapping", rule("fault: close-after-reading, engines: {a: b}"), 3, ""),
        at(
            "requests of no other client",
            rule("fault: close-after-reading, requests_per_second: 3"),
            3,
            "requests_per_second is only for the fault other-client; remove it",
        ),
        at(
            "another client without requests",
            rule("fault: other-client"),
            3,
            "other-client needs requests_per_second",
        ),
        at(
            "another client with engines",
            rule("fault: other-client, requests_per_second: 3, engines: [a]"),
            3,
            "remove engines and times",
        ),
        at("a rule that never applies", rule("fault: close-after-reading, times: 0"), 3, "write 1 or more"),
        at(
            "a rule that ends before it starts",
            rule("fault: close-after-reading, from: 5s, until: 3s"),
            3,
            "until is not after from",
        ),
        at(
            "an unknown action",
            rule("fault: close-after-reading, action: DropDatabase"),
            3,
            "does not support the action DropDatabase",
        ),
        at(
            "engines for an action that names none",
            rule("fault: close-after-reading, action: DescribeDataEngines, engines: [a]"),
            3,
            "name no engine",
        ),
        at("an unknown key in a rule", rule("fault: close-after-reading, colour: red"), 3, "colour"),
        at("a fault with a control sequence", rule("fault: \"\\e[31mfin\""), 3, ""),
    ]
}

fn forms() -> Vec<BadFile> {
    let level =
        |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    let bomb = format!("a0: &a0 [x]\n{}", (1..12).map(level).collect::<String>());
    vec![
        at("an unknown key", "seed: 1\ncolour: red\n", 2, "colour"),
        at("a key twice", "seed: 1\nseed: 2\n", 2, "seed"),
        at("a list", "- seed: 1\n", 1, ""),
        at("a text", "text\n", 1, ""),
        at("an unclosed bracket", "faults: [\n", 1, "unclosed bracket"),
        at("a tab that indents", "faults:\n\t- {fault: close-after-reading}\n", 2, ""),
        at("a second document", "seed: 1\n---\nseed: 2\n", 3, "one scenario in each file"),
        at("an unknown anchor", "seed: *nowhere\n", 1, ""),
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
        whole("a scenario that does not exist", Content::Nothing, cannot),
        whole("a directory", Content::Directory, "not a regular file"),
        whole("a pipe", Content::Pipe, "not a regular file"),
        whole("an endless device", Content::LinkTo("/dev/zero"), "not a regular file"),
        whole("a link to itself", Content::LinkTo("scenario.yaml"), cannot),
        whole("five megabytes", "#".repeat(5 << 20), "larger than 4194304 bytes"),
        whole("bytes that are not UTF-8", b"seed: \xff\n", cannot),
        whole("UTF-16", b"\xff\xfes\0e\0", cannot),
    ]
}
