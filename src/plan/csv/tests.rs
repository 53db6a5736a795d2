//! Each mistake of a CSV plan, at its span.

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
    let title = "the first line is not a header: it does not name any column of a plan";
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
fn the_separator_line_of_excel_is_one_error() {
    let title = "the first line is not a header: it does not name any column of a plan";
    assert_eq!(in_file("sep=;\ndata_engine_id;new_image_version_id\na;v\n"), [at(1, 1, title)]);
}

#[test]
fn an_unsupported_column_is_an_unknown_column() {
    for name in ["max_failures", "approval", "expect", "limits", "account"] {
        let text = format!("data_engine_id,new_image_version_id,{name}\na,v,\n");
        assert_eq!(in_file(&text), [at(1, 37, &format!("unknown column `{name}`"))]);
    }
    let page = review("a.csv", b"data_engine_id,new_image_version_id,expect\na,v,\n")
        .expect_err("unknown")
        .render(false);
    assert!(page.contains("`expected_image_version_id`") && page.contains("YAML plan"), "{page}");
}

#[test]
fn a_missing_column_is_reported_once_and_not_for_every_row() {
    let missing = "the column `new_image_version_id` is missing";
    assert_eq!(in_file("data_engine_id\na\nb\n"), [at(1, 1, missing)]);
}

#[test]
fn a_repeated_column_and_a_column_without_a_name_are_reported() {
    let text = "data_engine_id,new_image_version_id,DataEngineId,, note\na,v,b,,\n";
    let expected =
        [at(1, 37, "the column `data_engine_id` appears twice"), at(1, 50, "column 4 has no name")];
    assert_eq!(in_file(text), expected);
}

#[test]
fn empty_values_are_reported_at_their_position() {
    let expected = [at(2, 1, "`data_engine_id` is empty"), at(3, 3, "`new_image_version_id` is empty")];
    assert_eq!(in_rows(",v,,,,\nb,,,,,\n"), expected);
}

#[test]
fn rows_of_the_wrong_length_are_reported() {
    let expected = [
        at(2, 3, "the row has 2 fields and the header 6 columns"),
        at(3, 9, "the row has 8 fields and the header 6 columns"),
    ];
    assert_eq!(in_rows("a,v\nb,v,,,,,é,x\n"), expected);
}

#[test]
fn blank_rows_and_rows_of_separators_are_skipped_and_comments_are_errors() {
    let expected = [at(6, 1, "`data_engine_id` is empty"), at(7, 1, "a CSV plan cannot have comments")];
    assert_eq!(in_rows(",,,,,\n , ,\n\n\n,v,,,,\n# more\n"), expected);
    let plan = review("a.csv", b"\n;;\ndata_engine_id;new_image_version_id\n;\na;v\n;;;;\n").expect("valid");
    assert_eq!(plan.jobs.len(), 1);
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
    let diagnostics = review("a.csv", text.as_bytes()).expect_err("a duplicate");
    assert_eq!(found("a.csv", &text), [at(4, 1, "the engine `a` is listed twice")]);
    let other = diagnostics
        .kept
        .iter()
        .find_map(|found| {
            found.other.filter(|(_, label)| *label == "first here" && found.title.ends_with("twice"))
        })
        .expect("both spans")
        .0;
    assert_eq!(diagnostics.sources[0].location(other).line, 2);
}

#[test]
fn a_duplicate_is_found_with_the_default_region() {
    assert_eq!(in_rows("a,v,,,,\na,v,ap-default,,,\n"), [at(3, 1, "the engine `a` is listed twice")]);
}

#[test]
fn conflicting_targets_are_reported_as_such() {
    let title = "the engine `a` has two different target image versions";
    assert_eq!(in_rows("a,v,,,,\na,w,,,,\n"), [at(3, 1, title)]);
}

#[test]
fn rows_without_a_wave_beside_rows_with_one_are_one_finding() {
    let title = "2 rows have no wave, and others have one";
    assert_eq!(in_rows("a,v,,,,\nb,v,,x,,\nc,v,,,,\n"), [at(2, 6, title)]);
}

#[test]
fn semicolons_and_tabs_are_accepted_as_separators() {
    for separator in [";", "\t"] {
        let text = "data_engine_id,new_image_version_id,note\r\na,v,\"x y\"\r\nb,v,\r\n";
        let text = text.replace(',', separator);
        let plan = review("a.csv", text.as_bytes()).expect("valid");
        assert_eq!(plan.jobs.len(), 2);
    }
    let semicolons = in_file("data_engine_id;new_image_version_id\na;v\n;v\n");
    assert_eq!(semicolons, [at(3, 1, "`data_engine_id` is empty")]);
}

#[test]
fn mixed_separators_are_reported_in_header_and_rows() {
    let title = "the header mixes commas and other separators";
    assert_eq!(in_file("data_engine_id,new_image_version_id,region;note\na,v,\n"), [at(1, 37, title)]);
    let title = "the row has 1 field and the header 6 columns, which is separated by commas";
    assert_eq!(in_rows("a;v;;;;\n"), [at(2, 1, title)]);
}

#[test]
fn quotes_that_do_not_enclose_a_whole_field_are_reported() {
    let open = "this quote is never closed";
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
        (7, "`Guangzhou` cannot be a `region`: it does not have the form of one".to_owned()),
        (17, format!("`{}…` cannot be a `wave`: it has 129 characters and may have 64", "x".repeat(60))),
        (147, "`é` cannot be an `expected_image_version_id`: it contains U+00E9".to_owned()),
        (149, "`a\\nb` cannot be a `note`: it contains a control character or a line break".to_owned()),
    ];
    assert_eq!(titles, expected);
}

#[test]
fn a_file_without_rows_is_reported() {
    assert_eq!(in_rows(""), [at(1, 1, "the file has no engines")]);
    assert_eq!(in_file(""), [at(1, 1, "the file is empty")]);
    assert_eq!(in_file("\n\n"), [at(1, 1, "the file is empty")]);
}

#[test]
fn a_row_with_very_many_fields_is_refused_before_it_takes_memory() {
    let title = "the row has more than 1000 fields";
    assert_eq!(in_file(&",".repeat(100_000)), [at(1, 1_001, title)]);
    assert_eq!(in_rows(&format!("a,v,,,,\n{}\n", ",".repeat(1_000))), [at(3, 1_001, title)]);
}
