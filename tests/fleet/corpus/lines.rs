//! Ledgers whose checks hold, and whose lines cannot stand where they do.

use super::files::BadFile;
use super::ledgers::{AT, RUN, at, first, job, line, run, sealed, second, sent, sound};

pub fn files() -> Vec<BadFile> {
    [runs(), fields(), steps()].concat()
}

fn runs() -> Vec<BadFile> {
    let next = |run: &str, parent: &str| {
        let fields =
            RUN.replacen(r#","tool_version""#, &format!(r#","parent_run":{parent},"tool_version""#), 1);
        format!(r#"{{"seq":2,{AT},"run":"{run}","kind":"run-started",{fields}}}"#)
    };
    let closed = line(2, r#""kind":"run-ended","outcomes":{}"#);
    vec![
        at("a job before any run", sealed(&[sent(1)]), 1, "which is not running at this line"),
        at(
            "a run that ends before it begins",
            sealed(&[closed.replacen('2', "1", 1)]),
            1,
            "which is not running at this line",
        ),
        at("a run id twice", sealed(&[run(), next("r1", r#""r1""#)]), 2, "run r1 was started before"),
        at("a run with the wrong parent", sealed(&[run(), next("r2", r#""r0""#)]), 2, "instead of r1"),
        at("a run without its parent", sealed(&[run(), next("r2", "null")]), 2, "instead of r1"),
        at(
            "a first run with a parent",
            first(r#","tool_version""#, r#","parent_run":"r0","tool_version""#),
            1,
            "instead of none",
        ),
        at(
            "a line of another run",
            second(sent(2).replacen(r#""r1""#, r#""r2""#, 1)),
            2,
            "belongs to run r2",
        ),
        at(
            "a line after the end",
            sealed(&[run(), closed.clone(), sent(3)]),
            3,
            "which is not running at this line",
        ),
        at(
            "an end after the end",
            sealed(&[run(), closed.clone(), closed.replacen('2', "3", 1)]),
            3,
            "which is not running at this line",
        ),
        at(
            "a run of an unknown outcome",
            second(line(2, r#""kind":"run-ended","outcomes":{"lucky":1}"#)),
            2,
            "unknown variant",
        ),
        at(
            "a run of fewer than no outcomes",
            second(line(2, r#""kind":"run-ended","outcomes":{"failed":-1}"#)),
            2,
            "invalid value",
        ),
        at("outcomes in a list", second(line(2, r#""kind":"run-ended","outcomes":[]"#)), 2, "invalid type"),
        at(
            "a stop that is a number",
            second(line(2, r#""kind":"run-ended","outcomes":{},"stopped":1"#)),
            2,
            "invalid type",
        ),
        at("a rate below zero", first(r#""rate":20"#, r#""rate":-1"#), 1, "invalid value"),
        at(
            "a rate beyond thirty-two bits",
            first(r#""rate":20"#, r#""rate":4294967296"#),
            1,
            "invalid value",
        ),
        at(
            "regions that are text",
            first(r#""regions":[]"#, r#""regions":"ap-guangzhou""#),
            1,
            "invalid type",
        ),
    ]
}

/// Fields of a job's line, under a check that holds.
fn fields() -> Vec<BadFile> {
    let deep = |depth: usize| {
        format!(r#""kind":"sent","attempt":1,"more":{}{}"#, "[".repeat(depth), "]".repeat(depth))
    };
    vec![
        at("an unknown kind", second(job(2, r#""kind":"teleported""#)), 2, "unknown variant"),
        at("no kind", second(job(2, r#""attempt":1"#)), 2, "missing field `kind`"),
        at("a kind that is null", second(job(2, r#""kind":null"#)), 2, "invalid type"),
        at(
            "two kinds",
            second(job(2, r#""kind":"sent","kind":"switched","attempt":1"#)),
            2,
            "duplicate field `kind`",
        ),
        at(
            "a job without a region",
            second(line(2, r#""kind":"up-to-date","data_engine_id":"a","new_image_version_id":"i""#)),
            2,
            "missing field `region`",
        ),
        at(
            "a region that is a number",
            second(line(
                2,
                r#""kind":"up-to-date","region":1,"data_engine_id":"a","new_image_version_id":"i""#,
            )),
            2,
            "invalid type",
        ),
        at(
            "a region twice",
            second(job(2, r#""kind":"up-to-date","region":"ap-beijing""#)),
            2,
            "duplicate field `region`",
        ),
        at(
            "an attempt before the first",
            second(job(2, r#""kind":"sent","attempt":-1"#)),
            2,
            "invalid value",
        ),
        at("an attempt as text", second(job(2, r#""kind":"sent","attempt":"1""#)), 2, "invalid type"),
        at(
            "an attempt beyond thirty-two bits",
            second(job(2, r#""kind":"sent","attempt":4294967296"#)),
            2,
            "invalid value",
        ),
        at("no attempt", second(job(2, r#""kind":"sent""#)), 2, "missing field `attempt`"),
        at(
            "an HTTP status beyond sixteen bits",
            sealed(&[run(), sent(2), job(3, r#""kind":"unconfirmed","message":"m","http_status":65536"#)]),
            3,
            "invalid value",
        ),
        at(
            "half of a surrogate pair",
            second(job(2, r#""kind":"sent","attempt":1,"image_before":"\ud800""#)),
            2,
            "hex escape",
        ),
        at("a field of ten thousand levels", second(job(2, &deep(10_000))), 2, "recursion limit"),
        sound("a field of a later version", second(job(2, &deep(3))), "2 lines"),
        sound("an engine with an empty id", second(sent(2).replacen("DataEngine-a", "", 1)), "2 lines"),
    ]
}

/// Steps that may not follow, under a check that holds.
fn steps() -> Vec<BadFile> {
    let after_sent = |fields: &str| sealed(&[run(), sent(2), job(3, fields)]);
    let accepted = r#""kind":"accepted","verified":false"#;
    vec![
        at("sent twice", sealed(&[run(), sent(2), sent(3)]), 3, "cannot follow `sent`"),
        at("accepted and never sent", second(job(2, accepted)), 2, "cannot follow `nothing`"),
        at("switched and never accepted", after_sent(r#""kind":"switched""#), 3, "cannot follow `sent`"),
        at(
            "cleared without a doubt",
            after_sent(r#""kind":"not-applied","image_seen":"i""#),
            3,
            "cannot follow `sent`",
        ),
        at(
            "unknown before any doubt",
            after_sent(r#""kind":"unknown","message":"m""#),
            3,
            "cannot follow `sent`",
        ),
        at(
            "already, and then sent",
            sealed(&[run(), job(2, r#""kind":"up-to-date""#), sent(3)]),
            3,
            "cannot follow `up-to-date`",
        ),
        at(
            "accepted twice",
            sealed(&[run(), sent(2), job(3, accepted), job(4, accepted)]),
            4,
            "cannot follow `accepted`",
        ),
        at(
            "switched, and then sent",
            sealed(&[run(), sent(2), job(3, accepted), job(4, r#""kind":"switched""#), sent(5)]),
            5,
            "cannot follow `switched`",
        ),
    ]
}
