//! Each mistake of a CSV plan, at its place.

use super::super::tests::{Found, found, review};
use crate::job::Wave;

const HEADER: &str = "data_engine_id,new_image_version_id,region,wave,expected_image_version_id,note\n";

fn at(line: usize, column: usize, title: &str) -> Found {
    (line, column, title.to_owned())
}

/// What is found in rows below the full header; the first row is line 2.
fn in_rows(rows: &str) -> Vec<Found> {
    found("a.csv", &format!("{HEADER}{rows}"))
}

fn in_file(text: &str) -> Vec<Found> {
    found("a.csv", text)
}

#[test]
fn columns_come_in_any_order_and_in_the_spelling_of_the_api() {
    let plan = review("a.csv", b"NewImageVersionId,Region,DataEngineId\nv,ap-a,e\n").expect("valid");
    let key = &plan.jobs[0].key;
    let read = (key.data_engine_id.as_str(), key.new_image_version_id.as_str(), key.region.as_str());
    assert_eq!(read, ("e", "v", "ap-a"));
    assert_eq!(plan.waves, [Wave::named("all")]);
}

#[test]
fn waves_go_in_the_order_of_their_first_rows_and_jobs_wave_by_wave() {
    let plan = review("a.csv", format!("{HEADER}a,v,,z,,\nb,v,,a,,\nc,v,,z,,\n").as_bytes()).expect("valid");
    assert_eq!(plan.waves, ["z", "a"].map(Wave::named));
    let order: Vec<_> = plan.jobs.iter().map(|job| (job.key.data_engine_id.as_str(), job.wave)).collect();
    assert_eq!(order, [("a", 0), ("c", 0), ("b", 1)]);
}

#[test]
fn an_unknown_column_is_reported_and_read_as_the_one_that_was_meant() {
    let title = "unknown column `data_engin_id`";
    assert_eq!(in_file("data_engin_id,new_image_version_id\na,v\n"), [at(1, 1, title)]);
    let two = in_file("data_engin_id,new_image_version_id\na,v\na,v\n");
    assert_eq!(two, [at(1, 1, title), at(3, 1, "the engine `a` is listed twice")]);
    assert_eq!(
        in_file("data_engine_id,owner,new_image_version_id\na,x,v\n"),
        [at(1, 16, "unknown column `owner`")]
    );
}

#[test]
fn a_file_without_a_header_is_one_finding() {
    let title = "the first line is no header: it names no column of a plan";
    for text in [
        "DataEngine-a1b2c3d4,7ac9cc78-bc95-440f-9768-4f4a79048755,ap-guangzhou\n,,\n",
        "DataEngine-1,v,ap-guangzhou\nDataEngine-2,v,\n",
        "DataEngine-1;v\nDataEngine-2;v\n",
        "id\na\n",
    ] {
        assert_eq!(in_file(text), [at(1, 1, title)], "{text}");
    }
}

#[test]
fn the_separator_line_of_excel_is_one_finding() {
    let title = "the first line is no header: only Excel understands `sep=;`";
    assert_eq!(in_file("sep=;\ndata_engine_id;new_image_version_id\na;v\n"), [at(1, 1, title)]);
}

#[test]
fn a_column_whose_behaviour_is_not_built_is_refused() {
    for name in ["max_failures", "approval", "expect", "limits"] {
        let title = format!("`{name}` is part of the design but not built in this version");
        let text = format!("data_engine_id,new_image_version_id,{name}\na,v,\n");
        assert_eq!(in_file(&text), [at(1, 37, &title)]);
    }
}

#[test]
fn a_missing_column_is_reported_once_and_not_for_every_row() {
    let missing = "the column `new_image_version_id` is missing";
    assert_eq!(in_file("data_engine_id\na\nb\n"), [at(1, 1, missing)]);
}

#[test]
fn a_column_twice_without_a_name_or_with_white_space_is_reported() {
    let text = "data_engine_id,new_image_version_id,DataEngineId,, note\na,v,b,,\n";
    let expected = [
        at(1, 37, "the column `data_engine_id` appears twice"),
        at(1, 50, "column 4 has no name"),
        at(1, 51, "the column name `note` has white space around it"),
    ];
    assert_eq!(in_file(text), expected);
}

#[test]
fn empty_values_are_reported_where_they_should_stand() {
    let expected = [at(2, 1, "`data_engine_id` is empty"), at(3, 3, "`new_image_version_id` is empty")];
    assert_eq!(in_rows(",v,,,,\nb,,,,,\n"), expected);
}

#[test]
fn ragged_rows_are_reported_where_they_go_wrong() {
    let expected = [
        at(2, 3, "the row has 2 fields and the header 6 columns"),
        at(3, 9, "the row has 8 fields and the header 6 columns"),
    ];
    assert_eq!(in_rows("a,v\nb,v,,,,,é,x\n"), expected);
}

#[test]
fn empty_rows_and_comments_are_named_as_such_and_blank_lines_are_nothing() {
    let expected = [
        at(2, 1, "the row is empty"),
        at(5, 1, "`data_engine_id` is empty"),
        at(6, 1, "a CSV plan has no comments"),
    ];
    assert_eq!(in_rows(",,,,,\n\n\n,v,,,,\n# more\n"), expected);
}

#[test]
fn white_space_around_a_value_is_reported_and_does_not_hide_a_duplicate() {
    let expected =
        [at(3, 1, "`data_engine_id` has white space around `a`"), at(3, 1, "the engine `a` is listed twice")];
    assert_eq!(in_rows("a,v,,,,\n a,v,,,,\n"), expected);
}

#[test]
fn a_duplicate_engine_is_reported_with_both_places() {
    let text = format!("{HEADER}a,v,ap-x,,,\na,v,ap-y,,,\na,v,ap-x,,,\n");
    let findings = review("a.csv", text.as_bytes()).expect_err("a duplicate");
    assert_eq!(found("a.csv", &text), [at(4, 1, "the engine `a` is listed twice")]);
    let other = findings.kept[0].other.expect("both places").0;
    assert_eq!(findings.sources[0].spot(other).line, 2);
}

#[test]
fn a_duplicate_is_seen_through_the_default_region() {
    assert_eq!(in_rows("a,v,,,,\na,v,ap-default,,,\n"), [at(3, 1, "the engine `a` is listed twice")]);
}

#[test]
fn conflicting_targets_are_reported_in_their_own_words() {
    let title = "the engine `a` is to go to two different image versions";
    assert_eq!(in_rows("a,v,,,,\na,w,,,,\n"), [at(3, 1, title)]);
}

#[test]
fn rows_without_a_wave_beside_rows_with_one_are_one_finding() {
    let title = "2 rows have no wave, and others have one";
    assert_eq!(in_rows("a,v,,,,\nb,v,,x,,\nc,v,,,,\n"), [at(2, 6, title)]);
}

#[test]
fn other_separators_are_named_and_the_rows_behind_them_reviewed() {
    let semicolons = in_file("data_engine_id;new_image_version_id\na;v\n;v\n");
    let title = "the columns are separated by semicolons";
    assert_eq!(semicolons, [at(1, 15, title), at(3, 1, "`data_engine_id` is empty")]);
    let tabs = in_file("data_engine_id\tnew_image_version_id\na\tv\n");
    assert_eq!(tabs, [at(1, 15, "the columns are separated by tabs")]);
}

#[test]
fn mixed_separators_are_reported_in_header_and_rows() {
    let title = "the header mixes commas and other separators";
    assert_eq!(in_file("data_engine_id,new_image_version_id,region;note\na,v,\n"), [at(1, 37, title)]);
    let title = "the row has 1 field and the header 6 columns, separated by something else than commas";
    assert_eq!(in_rows("a;v;;;;\n"), [at(2, 1, title)]);
}

#[test]
fn quotes_that_do_not_enclose_a_whole_field_are_reported() {
    let open = "the quote that opens here is never closed";
    assert_eq!(in_rows("a,v,,,,\"open\nb,v,,,,\n"), [at(2, 8, open)]);
    assert_eq!(in_rows("\"a\"b,v,,,,\n"), [at(2, 1, "text follows a closing quote")]);
    assert_eq!(in_file("\"data_engine_id,new_image_version_id\na,v\n"), [at(1, 1, open)]);
}

#[test]
fn values_of_the_wrong_shape_are_reported_one_by_one() {
    let long = "x".repeat(129);
    let rows = format!("a b,v,Guangzhou,{long},é,\"a\nb\"\n");
    let titles: Vec<_> = in_rows(&rows).into_iter().map(|(_, column, title)| (column, title)).collect();
    let expected = [
        (1, "`a b` cannot be a `data_engine_id`: it contains white space".to_owned()),
        (7, "`Guangzhou` cannot be a `region`: it does not look like one".to_owned()),
        (17, format!("`{}…` cannot be a `wave`: it has 129 characters and may have 64", "x".repeat(60))),
        (147, "`é` cannot be an `expected_image_version_id`: it contains U+00E9".to_owned()),
        (149, "`a\\nb` cannot be a `note`: it contains a control character or a line break".to_owned()),
    ];
    assert_eq!(titles, expected);
}

#[test]
fn a_file_without_rows_or_without_anything_is_reported() {
    assert_eq!(in_rows(""), [at(1, 1, "the file has no engines")]);
    assert_eq!(in_file(""), [at(1, 1, "the file is empty")]);
    assert_eq!(in_file("\n\n"), [at(1, 1, "the file is empty")]);
}

#[test]
fn a_row_with_very_many_fields_is_refused_before_it_takes_memory() {
    let title = "the row has more than 1000 fields";
    assert_eq!(in_file(&",".repeat(100_000)), [at(1, 1_000, title)]);
    assert_eq!(in_rows(&format!("a,v,,,,\n{}\n", ",".repeat(1_000))), [at(3, 1_000, title)]);
}
