//! Each mistake of a YAML plan, at its span, and what an included file may and may not say.

use std::fs;
use std::path::Path;

use super::super::diagnostic::Severity;
use super::super::tests::{Found, found, review};
use super::super::{Diagnostics, Plan, PlanError, load};
use crate::job::{Region, Wave};

fn at(line: usize, column: usize, title: &str) -> Found {
    (line, column, title.to_owned())
}

/// What is found below a line with an image version for all; the text begins in line 2.
fn below(text: &str) -> Vec<Found> {
    found("a.yaml", &format!("new_image_version_id: v\n{text}"))
}

#[test]
fn engines_may_be_ids_or_mappings_and_ids_stay_as_written() {
    let text = "new_image_version_id: 1.10\nengines: [no, 0123, {data_engine_id: 1e3, new_image_version_id: true}]\n";
    let plan = review("a.yml", text.as_bytes()).expect("valid");
    let read: Vec<_> = plan
        .jobs
        .iter()
        .map(|job| (job.key.data_engine_id.as_str(), job.key.new_image_version_id.as_str()))
        .collect();
    assert_eq!(read, [("no", "1.10"), ("0123", "1.10"), ("1e3", "true")]);
    assert_eq!(plan.waves, [Wave::named("all")]);
}

#[test]
fn anchors_can_be_used_for_values() {
    let text = "engines:\n- {data_engine_id: a, new_image_version_id: &v v1}\n- {data_engine_id: b, new_image_version_id: *v}\n";
    assert_eq!(found("a.yaml", text), []);
}

#[test]
fn an_unknown_key_is_reported_and_read_as_the_one_that_was_meant() {
    let title = "unknown key `engin`";
    assert_eq!(below("engin: [a, a]\n"), [at(2, 1, title), at(2, 12, "the engine `a` is listed twice")]);
    assert_eq!(below("owner: me\nengines: [a]\n"), [at(2, 1, "unknown key `owner`")]);
    assert_eq!(below("engines: [{data_engine_id: a, colour: x}]\n"), [at(2, 31, "unknown key `colour`")]);
    assert_eq!(
        below("waves: [{name: a, engines: [b], region: ap-x}]\n"),
        [at(2, 33, "unknown key `region`")]
    );
}

#[test]
fn an_unsupported_key_is_an_unknown_key() {
    let unknown = |name| format!("unknown key `{name}`");
    assert_eq!(below("max_failures: 5%\nengines: [a]\n"), [at(2, 1, &unknown("max_failures"))]);
    let wave = "waves:\n- name: a\n  expect: 1\n  approval: true\n  engines: [b]\n";
    assert_eq!(below(wave), [at(4, 3, &unknown("expect")), at(5, 3, &unknown("approval"))]);
    assert_eq!(below("engines: [{data_engine_id: a, limits: 1}]\n"), [at(2, 31, &unknown("limits"))]);
}

/// The soaks of the waves of a plan, in seconds.
fn soaks(written: &[&str]) -> Vec<u64> {
    let wave =
        |(number, soak): (usize, &&str)| format!("- {{name: w{number}, {soak} engines: [e{number}]}}\n");
    let waves: String = written.iter().enumerate().map(wave).collect();
    let plan =
        review("a.yaml", format!("new_image_version_id: v\nwaves:\n{waves}").as_bytes()).expect("valid");
    plan.waves.iter().map(|wave| wave.soak.as_secs()).collect()
}

#[test]
fn a_soak_is_a_duration() {
    let written =
        ["", "soak: 0s,", "soak: 90s,", "soak: 10m,", "soak: 1h30m,", "soak: '1 hour',", "soak: 168h,"];
    assert_eq!(soaks(&written), [0, 0, 90, 600, 5400, 3600, 604_800]);
}

#[test]
fn an_invalid_soak_is_reported_at_its_position() {
    let fault = |soak: &str| {
        let found = below(&format!("waves:\n- name: a\n  soak: {soak}\n  engines: [b]\n"));
        let [(line, column, title)] = found.as_slice() else { panic!("one diagnostic: {found:?}") };
        assert_eq!((*line, *column), (4, 9), "{title}");
        title.clone()
    };
    assert_eq!(fault("soon"), "`soon` cannot be a `soak`: it is not a duration");
    assert_eq!(fault("600"), "`600` cannot be a `soak`: it has no unit");
    assert_eq!(fault("0"), "`0` cannot be a `soak`: it has no unit");
    assert_eq!(fault("-5m"), "`-5m` cannot be a `soak`: it is negative");
    assert_eq!(fault("169h"), "`169h` cannot be a `soak`: it is longer than 7 days");
    assert_eq!(fault("[10m]"), "`soak` must be text, not a list");
    assert_eq!(fault("''"), "`soak` is empty");
    assert_eq!(fault("' 10m'"), "`soak` has white space around `10m`");
    let nothing = below("waves:\n- name: a\n  soak:\n  engines: [b]\n");
    assert_eq!(nothing, [at(4, 7, "`soak` has no value")]);
    assert_eq!(
        below("waves: [{name: a, sok: soon, engines: [b]}]\n").len(),
        2,
        "the misspelt key, and its value"
    );
}

#[test]
fn a_soak_outside_a_wave_is_an_error() {
    let title = "unknown key `soak`";
    assert_eq!(below("soak: 10m\nengines: [a]\n"), [at(2, 1, title)]);
    assert_eq!(below("engines: [{data_engine_id: a, soak: 10m}]\n"), [at(2, 31, title)]);
    let csv = "data_engine_id,new_image_version_id,wave,soak\na,v,one,10m\n";
    assert_eq!(found("a.csv", csv), [at(1, 42, "unknown column `soak`")]);
}

#[test]
fn merge_keys_are_refused_and_the_rest_is_reviewed() {
    let text = "engines:\n- &a {data_engine_id: a}\n- {<<: *a, data_engine_id: b}\n- a\n";
    let expected = [at(4, 4, "unknown key `<<`"), at(5, 3, "the engine `a` is listed twice")];
    assert_eq!(below(text), expected);
}

#[test]
fn a_key_twice_and_a_key_that_is_no_text_are_reported() {
    assert_eq!(below("engines: [a]\nengines: [b]\n"), [at(3, 1, "the key `engines` appears twice")]);
    assert_eq!(below("engines: [a]\n? [b]\n: c\n"), [at(3, 3, "a key must be text, not a list")]);
}

#[test]
fn wrong_types_are_reported_at_their_position() {
    assert_eq!(found("a.yaml", "- a\n"), [at(1, 1, "a plan must be a mapping, not a list")]);
    assert_eq!(below("engines: a\n"), [at(2, 10, "`engines` must be a list, not text")]);
    assert_eq!(below("engines: [[a]]\n"), [at(2, 11, "an engine must be text, not a list")]);
    assert_eq!(below("waves: [a]\n"), [at(2, 9, "a wave must be a mapping, not text")]);
    let note = "engines: [{data_engine_id: a, note: [x]}]\n";
    assert_eq!(below(note), [at(2, 37, "`note` must be text, not a list")]);
}

#[test]
fn missing_and_empty_values_are_reported_at_their_position() {
    assert_eq!(below("region:\nengines: [a]\n"), [at(2, 7, "`region` has no value")]);
    assert_eq!(below("region: ''\nengines: [a]\n"), [at(2, 9, "`region` is empty")]);
    assert_eq!(below("engines: [a, ~]\n"), [at(2, 14, "an engine has no value")]);
    assert_eq!(below("engines:\n"), [at(2, 8, "`engines` must be a list, not nothing")]);
    assert_eq!(below("engines: [{note: x}]\n"), [at(2, 11, "the engine has no `data_engine_id`")]);
    assert_eq!(
        below("engines: [{data_engine_id: ' a'}]\n"),
        [at(2, 28, "`data_engine_id` has white space around `a`")]
    );
}

#[test]
fn an_expectation_is_kept_as_written_and_is_not_part_of_the_digest() {
    let bare = "new_image_version_id: v\nengines: [a]\n";
    let plan = |rest: &str| review("a.yaml", format!("{bare}{rest}").as_bytes()).expect(rest);
    for written in ["100000000001", "'100000000001'", "0100"] {
        let expect = plan(&format!("expect: {{account: {written}, region: ap-beijing}}\n")).expect;
        assert_eq!(expect.account.as_deref(), Some(written.trim_matches('\'')));
        assert_eq!(expect.region.as_ref().map(Region::as_str), Some("ap-beijing"));
    }
    assert_eq!(plan("expect: {region: ap-beijing}\n").expect.account, None);
    assert_eq!(plan("expect: {account: 1}\n").digest, plan("").digest);
}

#[test]
fn an_invalid_expectation_is_reported_at_its_position() {
    let expecting = |rest: &str| below(&format!("engines: [a]\nexpect: {rest}\n"));
    let digits = |account: &str| {
        at(3, 19, &format!("`{account}` cannot be an `account`: it contains other characters than digits"))
    };
    assert_eq!(expecting("{account: uin/1}"), [digits("uin/1")]);
    assert_eq!(expecting("{account: 1_000}"), [digits("1_000")]);
    assert_eq!(expecting("{account: -1}"), [digits("-1")]);
    assert_eq!(expecting("{account: }"), [at(3, 17, "`account` has no value")]);
    assert_eq!(expecting("{account: ''}"), [at(3, 19, "`account` is empty")]);
    assert_eq!(
        expecting("{region: Mars}"),
        [at(3, 18, "`Mars` cannot be a `region`: it does not have the form of one")]
    );
    assert_eq!(expecting("{acount: 1}"), [at(3, 10, "unknown key `acount`")]);
    assert_eq!(expecting("{}"), [at(3, 9, "`expect` is empty")]);
    assert_eq!(expecting("100000000001"), [at(3, 9, "`expect` must be a mapping, not text")]);
}

#[test]
fn an_image_version_missing_everywhere_is_one_finding() {
    let title = "2 engines have no `new_image_version_id`; `a` is the first";
    assert_eq!(found("a.yaml", "engines: [a, b]\n"), [at(1, 11, title)]);
    let given = "engines: [{data_engine_id: a, new_image_version_id: v}, b]\n";
    assert_eq!(found("a.yaml", given), [at(1, 57, "the engine `b` has no `new_image_version_id`")]);
}

#[test]
fn a_plan_without_engines_is_reported() {
    let empty = "a plan must be a mapping, not nothing";
    assert_eq!(found("a.yaml", ""), [at(1, 1, empty)]);
    assert_eq!(found("a.yaml", "# nothing\n"), [at(2, 1, empty)]);
    assert_eq!(below(""), [at(1, 1, "the plan has no engines")]);
    assert_eq!(below("engines: []\n"), [at(2, 10, "`engines` is empty")]);
    assert_eq!(below("waves: []\n"), [at(2, 8, "`waves` is empty")]);
}

#[test]
fn a_wave_needs_a_name_of_its_own_and_engines() {
    let text = "waves:\n- engines: [a]\n- name: x\n  engines: [b]\n- name: x\n  engines: [c]\n- name: ''\n";
    let expected = [
        at(3, 3, "the wave has no name"),
        at(6, 9, "the wave `x` appears twice"),
        at(8, 3, "the wave has no engines"),
        at(8, 9, "`name` is empty"),
    ];
    assert_eq!(below(text), expected);
}

#[test]
fn waves_and_engines_side_by_side_are_reported_and_both_reviewed() {
    let text = "engines: [a]\nwaves:\n- name: x\n  engines: [a]\n";
    let title = "the plan has both `waves` and `engines`";
    assert_eq!(below(text), [at(2, 11, "the engine `a` is listed twice"), at(3, 1, title)]);
}

#[test]
fn a_second_document_is_reported() {
    let title = "invalid YAML: a second document begins here";
    assert_eq!(below("engines: [a]\n---\nb: c\n"), [at(4, 1, title)]);
}

/// A plan with one included file, both in a folder of their own.
fn with_file(plan: &str, file: &str) -> Result<Plan, Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.yaml");
    fs::write(&path, plan).expect("written");
    fs::write(folder.path().join("fleet.csv"), file).expect("written");
    load(&path, None).map_err(|error| match error {
        PlanError::Invalid(diagnostics) => diagnostics,
        PlanError::Unreadable { cause, .. } => panic!("{cause}"),
    })
}

/// File, line, column and title of what is wrong with a plan that includes a file.
fn found_with_file(plan: &str, file: &str) -> Vec<(String, usize, usize, String)> {
    let diagnostics = with_file(plan, file).expect_err("a diagnostic");
    let errors = diagnostics.kept.iter().filter(|found| found.severity == Severity::Error);
    let lines = errors.map(|diagnostic| {
        let source = &diagnostics.sources[diagnostic.span.file as usize];
        let location = source.location(diagnostic.span);
        let name = Path::new(&source.shown_path).file_name().map(|name| name.to_string_lossy().into_owned());
        (name.unwrap_or_default(), location.line, location.column, diagnostic.title.clone())
    });
    lines.collect()
}

const PLAN: &str =
    "region: ap-x\nnew_image_version_id: v\nwaves: [{name: a, engines: [{from: fleet.csv}]}]\n";

#[test]
fn an_included_file_takes_region_and_image_version_from_the_plan() {
    let plan = with_file(PLAN, "data_engine_id,region\na,\nb,ap-y\n").expect("valid");
    let read: Vec<_> = plan.jobs.iter().map(|job| job.key.to_string()).collect();
    assert_eq!(read, ["a in ap-x to v", "b in ap-y to v"]);
}

#[test]
fn findings_of_an_included_file_point_into_it() {
    let file = "data_engine_id,wave,regio\na,x,\n,y,\n";
    let wave = "an included file cannot have the column `wave`".to_owned();
    let expected = [
        ("fleet.csv".to_owned(), 1, 16, wave),
        ("fleet.csv".to_owned(), 1, 21, "unknown column `regio`".to_owned()),
        ("fleet.csv".to_owned(), 3, 1, "`data_engine_id` is empty".to_owned()),
    ];
    assert_eq!(found_with_file(PLAN, file), expected);
    let plan = PLAN.replace("new_image_version_id: v\n", "");
    let missing = "the column `new_image_version_id` is missing".to_owned();
    assert_eq!(found_with_file(&plan, "data_engine_id\na\n"), [("fleet.csv".to_owned(), 1, 1, missing)]);
}

#[test]
fn an_engine_in_plan_and_included_file_is_a_duplicate_across_both() {
    let plan = PLAN.replace("[{from", "[a, {from");
    let diagnostics = with_file(&plan, "data_engine_id\na\n").expect_err("a duplicate");
    let page = diagnostics.render(false);
    assert!(page.contains("fleet.csv:2:1") && page.contains("plan.yaml:3:29"), "{page}");
}

#[test]
fn a_file_that_cannot_be_included_is_reported_where_it_is_named() {
    let plan = PLAN.replace(
        "{from: fleet.csv}",
        "{from: no.csv}, {from: b.yaml}, {from: fleet.csv, note: x}, {from: fleet.csv}",
    );
    let found = found_with_file(&plan, "data_engine_id\na\n");
    let spans: Vec<_> = found.iter().map(|(name, line, column, _)| (name.as_str(), *line, *column)).collect();
    assert_eq!(
        spans,
        [("plan.yaml", 3, 36), ("plan.yaml", 3, 52), ("plan.yaml", 3, 79), ("plan.yaml", 3, 96),]
    );
    assert!(found[0].3.starts_with("cannot read `no.csv`: "));
    assert_eq!(found[1].3, "`b.yaml` is not a CSV file");
    assert_eq!(found[2].3, "`note` cannot be combined with `from`");
    assert_eq!(found[3].3, "`fleet.csv` is included twice");
}
