//! Whole plans: examples, snapshots, and what must hold for every plan there is.

use std::fs;

use proptest::prelude::*;

use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey};

use super::diagnostic::{Diagnostic, Severity};
use super::*;

/// Line, column and title of a diagnostic.
pub(super) type Found = (usize, usize, String);

/// Reviews a text under a file name, without the disk, with `--region ap-default`.
pub(super) fn review(name: &str, bytes: &[u8]) -> Result<Plan, Diagnostics> {
    let path = Path::new(name);
    let mut review = Review::default();
    let source = review.decode(path, bytes);
    let format = Format::of(path).expect("a known extension");
    let draft = source.and_then(|source| parse(&mut review, &source, path, format)).unwrap_or_default();
    finish(review, draft, path, Some(&Region::new("ap-default"))).map_err(|error| match error {
        PlanError::Invalid(diagnostics) => diagnostics,
        PlanError::Unreadable { cause, .. } => panic!("{cause}"),
    })
}

/// Everything found in a text, in order.
pub(super) fn found(name: &str, text: &str) -> Vec<Found> {
    review(name, text.as_bytes()).map_or_else(|diagnostics| list(&diagnostics), |_| Vec::new())
}

/// The errors; warnings have tests of their own.
fn list(diagnostics: &Diagnostics) -> Vec<Found> {
    assert_eq!(diagnostics.len(), diagnostics.kept.len());
    located(diagnostics, Severity::Error)
}

fn located(diagnostics: &Diagnostics, severity: Severity) -> Vec<Found> {
    let line = |found: &Diagnostic| {
        let location = diagnostics.sources[found.span.file as usize].location(found.span);
        (location.line, location.column, found.title.clone())
    };
    diagnostics.kept.iter().filter(|found| found.severity == severity).map(line).collect()
}

/// The warnings about a plan without errors.
fn warnings(name: &str, text: &str) -> Vec<Found> {
    located(&review(name, text.as_bytes()).expect("valid").warnings, Severity::Warning)
}

/// What is said about a plan that is read from the disk.
fn messages(path: &Path) -> String {
    match load(path, None) {
        Ok(_) => "no problems".to_owned(),
        Err(PlanError::Invalid(diagnostics)) => diagnostics.render(false),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_example_plan_loads() {
    let mut seen = 0;
    for entry in fs::read_dir("plans").expect("there are examples") {
        let path = entry.expect("readable").path();
        if Format::of(&path).is_none() {
            // a simulation of an example leaves its ledger here
            continue;
        }
        assert_eq!(messages(&path), "no problems", "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} examples");
}

#[test]
fn the_staged_example_has_three_waves() {
    let plan = load(Path::new("plans/staged.yaml"), None).expect("valid");
    let soak = std::time::Duration::from_secs(600);
    let canary = Wave { soak, ..Wave::named("canary") };
    assert_eq!(plan.waves, [canary, Wave::named("early"), Wave::named("rest")]);
    let sizes = [0, 1, 2].map(|wave| plan.jobs.iter().filter(|job| job.wave == wave).count());
    assert_eq!(sizes, [2, 6, 16]);
    assert_eq!(plan.jobs[0].key.region.as_str(), "ap-guangzhou");
}

#[test]
fn ten_errors_of_a_csv_plan_are_reported_at_once() {
    insta::assert_snapshot!(messages(Path::new("tests/plans/ten-mistakes.csv")));
}

#[test]
fn ten_errors_of_a_yaml_plan_are_reported_at_once() {
    insta::assert_snapshot!(messages(Path::new("tests/plans/ten-mistakes.yaml")));
}

#[test]
fn a_region_in_the_plan_takes_precedence_over_the_default() {
    let text = "data_engine_id,new_image_version_id,region\na,v,ap-own\nb,v,\n";
    let plan = review("a.csv", text.as_bytes()).expect("valid");
    let regions: Vec<_> = plan.jobs.iter().map(|job| job.key.region.as_str()).collect();
    assert_eq!(regions, ["ap-own", "ap-default"]);
    let text = "region: ap-top\nnew_image_version_id: v\nengines: [a, {data_engine_id: b, region: ap-own}]\n";
    let plan = review("a.yaml", text.as_bytes()).expect("valid");
    let regions: Vec<_> = plan.jobs.iter().map(|job| job.key.region.as_str()).collect();
    assert_eq!(regions, ["ap-top", "ap-own"]);
}

#[test]
fn a_missing_region_is_one_error_at_the_first_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.csv");
    fs::write(&path, "data_engine_id,new_image_version_id\na,v\nb,v\n").expect("written");
    let page = messages(&path);
    assert!(page.contains("error: 2 engines have no region; `a` is the first\n"), "{page}");
    assert!(page.contains("a.csv:2:1") && page.contains("--region") && page.contains("TENCENTCLOUD_REGION"));
}

#[test]
fn an_unknown_extension_or_a_missing_file_is_reported_with_the_fix() {
    let page = messages(Path::new("fleet.xlsx"));
    assert!(page.contains("fleet.xlsx:1:1") && page.contains("`.csv`, `.yaml` or `.yml`"), "{page}");
    let page = messages(Path::new("no-such-plan.csv"));
    assert!(page.starts_with("cannot read the plan no-such-plan.csv: "), "{page}");
    assert!(page.ends_with("; check the path and its permissions"), "{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("folder.csv");
    fs::create_dir(&path).expect("made");
    assert!(messages(&path).contains("not a regular file"));
}

#[test]
fn a_huge_file_is_refused_without_reading_it_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.csv");
    let file = fs::File::create(&path).expect("made");
    // sparse: the size is there, the bytes are not
    file.set_len(MAX_BYTES * 1_000).expect("grown");
    assert!(messages(&path).contains("larger than 32 MiB together"));
}

#[test]
fn a_plan_with_too_many_engines_is_refused_at_the_first_too_many() {
    let rows: Vec<String> = (0..=MAX_JOBS).map(|number| format!("e{number},v\n")).collect();
    let text = "data_engine_id,new_image_version_id\n".to_owned() + &rows.concat();
    let last = (MAX_JOBS + 2, 1, format!("the plan has more than {MAX_JOBS} engines"));
    assert_eq!(found("a.csv", &text), [last]);
    let yaml = format!("new_image_version_id: v\nengines: [{}a]\n", "x,".repeat(MAX_JOBS));
    let diagnostics = review("a.yaml", yaml.as_bytes()).expect_err("too many");
    assert!(diagnostics.len() > MAX_JOBS - 1, "the engines before are reviewed: {}", diagnostics.len());
    let bad = "data_engine_id,new_image_version_id\n".to_owned() + &",v\n".repeat(2 * MAX_JOBS);
    let page = review("a.csv", bad.as_bytes()).expect_err("nothing but mistakes").render(false);
    assert!(page.ends_with("\nat least 100,001 errors; nothing was sent\n"));
}

#[test]
fn a_bom_and_crlf_are_accepted_in_both_formats() {
    let csv = "\u{feff}data_engine_id,new_image_version_id\r\na,v\r\nb,v\r\n";
    let plan = review("a.csv", csv.as_bytes()).expect("valid");
    let ids: Vec<_> = plan.jobs.iter().map(|job| job.key.data_engine_id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(found("a.yaml", "\u{feff}new_image_version_id: v\r\nengines: [a]\r\n"), []);
    assert_eq!(
        found("a.csv", "\u{feff}data_engine_id,new_image_version_id\r\na,v\r\n,v\r\n"),
        [(3, 1, "`data_engine_id` is empty".to_owned())]
    );
}

#[test]
fn another_encoding_is_one_error_with_the_command_that_converts_the_file() {
    for (bytes, help) in [
        (b"\xff\xfed\0a\0t\0a\0".as_slice(), "`iconv -f UTF-16 -t UTF-8 a.csv > a.utf8.csv`"),
        (
            b"data_engine_id,new_image_version_id\n\xd2\xfd,v\n",
            "`iconv -f GB18030 -t UTF-8 a.csv > a.utf8.csv`",
        ),
    ] {
        let diagnostics = review("a.csv", bytes).expect_err("not UTF-8");
        assert_eq!(diagnostics.len(), 1);
        assert!(diagnostics.kept[0].help.contains(help), "{}", diagnostics.kept[0].help);
    }
}

#[test]
fn an_undocumented_region_is_one_warning_with_a_suggestion() {
    let text =
        "data_engine_id,new_image_version_id,region\na,v,ap-guangzou\nb,v,ap-guangzou\nc,v,ap-guangzhou\n";
    let warnings = warnings("a.csv", text);
    assert_eq!(warnings.len(), 3, "region, engine ids, image version ids: {warnings:?}");
    assert!(warnings.contains(&(2, 5, "`ap-guangzou` is not a documented region of DLC".to_owned())));
    let page = review("a.csv", text.as_bytes()).expect("valid").warnings.render(false);
    assert!(page.contains("did you mean `ap-guangzhou`?") && page.ends_with("\n3 warnings\n"), "{page}");
    let yaml = "region: mars-1\nnew_image_version_id: 7ac9cc78-bc95-440f-9768-4f4a79048755\nengines: [DataEngine-a1b2c3d4]\n";
    let title = "`mars-1` is not a documented region of DLC".to_owned();
    assert_eq!(self::warnings("a.yaml", yaml), [(1, 9, title)]);
}

#[test]
fn engines_in_two_regions_are_one_warning() {
    let image = "7ac9cc78-bc95-440f-9768-4f4a79048755";
    let row = |engine: &str, region: &str| format!("DataEngine-{engine},{image},{region}\n");
    let header = "data_engine_id,new_image_version_id,region\n".to_owned();
    let text = header + &row("a1b2c3d4", "ap-beijing") + &row("a1b2c3d4", "ap-shanghai");
    let title = "the engine `DataEngine-a1b2c3d4` is listed in two regions".to_owned();
    assert_eq!(warnings("a.csv", &text), [(3, 1, title)]);
    let text = text + &row("b1b2c3d4", "ap-beijing") + &row("b1b2c3d4", "ap-shanghai");
    let title = "2 engines are listed in two regions; `DataEngine-a1b2c3d4` is the first".to_owned();
    assert_eq!(warnings("a.csv", &text), [(3, 1, title)]);
}

#[test]
fn ids_of_an_unusual_form_are_one_warning_for_each_kind() {
    let text =
        "data_engine_id,new_image_version_id,region\nDataEngine-a1b2c3d,v,ap-beijing\ne,v,ap-beijing\n";
    let expected = [
        (2, 1, "2 engine ids do not have the usual form; `DataEngine-a1b2c3d` is the first".to_owned()),
        (2, 20, "2 image version ids do not have the usual form; `v` is the first".to_owned()),
    ];
    assert_eq!(warnings("a.csv", text), expected);
}

const CSV: &str = "wave,region,data_engine_id,new_image_version_id,expected_image_version_id,note,data_engine_name\n\
                   one,ap-a,e1,v1,v0,first,spark one\none,ap-a,e2,v1,,,\ntwo,ap-b,e1,v2,,,\n";
const YAML: &str = "# the same\nnew_image_version_id: v1\nregion: ap-a\nwaves:\n- name: one\n  engines:\n  \
                    - {data_engine_id: e1, expected_image_version_id: v0, note: first, data_engine_name: spark one}\n  - e2\n- name: two\n  \
                    engines: [{data_engine_id: e1, region: ap-b, new_image_version_id: v2}]\n";

#[test]
fn csv_and_yaml_of_the_same_content_are_the_same_plan() {
    let csv = review("a.csv", CSV.as_bytes()).expect("valid");
    let yaml = review("a.yaml", YAML.as_bytes()).expect("valid");
    assert_eq!((&csv.jobs, &csv.waves, &csv.digest), (&yaml.jobs, &yaml.waves, &yaml.digest));
    assert_eq!(csv.digest.len(), 64);
}

#[test]
fn a_name_of_two_engines_in_one_region_is_an_error_at_the_second() {
    let text = "data_engine_id,new_image_version_id,region,data_engine_name\na,v,,one\nb,v,ap-other,one\nc,v,,two\nd,v,ap-default,one\n";
    assert_eq!(found("a.csv", text), [(5, 16, "two engines have the name `one`".to_owned())]);
    let yaml = "new_image_version_id: v\nengines:\n- {data_engine_id: a, data_engine_name: 1}\n- {data_engine_id: b, data_engine_name: 1}\n";
    assert_eq!(found("a.yaml", yaml), [(4, 41, "two engines have the name `1`".to_owned())]);
}

#[test]
fn the_digest_depends_on_what_is_done_and_not_on_how_it_is_written() {
    let digest = |text: &str| review("a.csv", text.as_bytes()).expect("valid").digest;
    let whole = digest(CSV);
    let reordered = CSV.replace(
        "one,ap-a,e1,v1,v0,first,spark one\none,ap-a,e2,v1,,,\n",
        "one,ap-a,e2,v1,,,\none,ap-a,e1,v1,v0,,\n",
    );
    assert_eq!(digest(&reordered), whole);
    for (was, becomes) in [("e2,v1", "e2,v2"), ("ap-b", "ap-c"), ("v0,first", ",first"), ("two", "three")] {
        assert_ne!(digest(&CSV.replace(was, becomes)), whole, "{was} -> {becomes}");
    }
    assert_eq!(digest(&CSV.replace("spark one", "spark two")), whole, "a name says how an engine is found");
}

#[test]
fn the_digest_depends_on_a_soak_and_not_on_how_it_is_written() {
    let digest = |soak: &str| {
        let text = YAML.replace("- name: two\n", &format!("- name: two\n{soak}"));
        review("a.yaml", text.as_bytes()).expect("valid").digest
    };
    assert_eq!(digest("  soak: 10m\n"), digest("  soak: 600s\n"));
    assert_ne!(digest("  soak: 10m\n"), digest("  soak: 11m\n"));
    assert_ne!(digest("  soak: 10m\n"), digest(""));
    assert_eq!(digest("  soak: 0s\n"), digest(""), "no soak is no soak");
}

#[test]
fn the_digest_stays_what_it_was_in_earlier_versions() {
    let plan = load(Path::new("plans/fleet.csv"), None).expect("valid");
    assert_eq!(plan.digest, "85ae41c50ffadaf72722fa63130d191c54139e13d5f635f183200a58ef084db2");
}

#[test]
fn the_message_of_an_invalid_plan_has_the_count_and_the_fix() {
    let error = load(Path::new("tests/plans/ten-mistakes.csv"), None).expect_err("invalid");
    assert_eq!(error.to_string(), "10 errors in the plan; nothing was sent; correct the plan and run again");
}

/// Every span is inside its file, at the beginning of a character, and everything can be shown.
fn assert_sound(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let Err(diagnostics) = review(name, bytes) else { return Ok(()) };
    prop_assert!(!diagnostics.is_empty());
    for diagnostic in &diagnostics.kept {
        let text = diagnostics.sources[diagnostic.span.file as usize].text.clone();
        for span in [Some(diagnostic.span), diagnostic.other.map(|(span, _)| span)].into_iter().flatten() {
            let (start, end) = (span.start as usize, span.end as usize);
            prop_assert!(start <= end && end <= text.len(), "{span:?} of {} in {text:?}", diagnostic.title);
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{span:?} in {text:?}");
        }
    }
    prop_assert!(diagnostics.render(true).ends_with("; nothing was sent\n"));
    Ok(())
}

/// A good plan with some stretches replaced by others.
fn mutated(plan: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\"".to_owned()),
        Just("\u{feff}\r\n".to_owned()),
        Just(",;\t".to_owned()),
        Just("*a &a [{".to_owned()),
        Just("- <<: :\n".to_owned()),
        ".{0,4}",
        "[ -~\n]{0,8}",
    ];
    proptest::collection::vec((0..plan.len(), 0..12usize, piece), 1..5).prop_map(move |changes| {
        let mut bytes = plan.as_bytes().to_vec();
        for (at, removed, piece) in changes {
            let at = at.min(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, piece.into_bytes());
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_reviewed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        assert_sound("a.csv", &bytes)?;
        assert_sound("a.yaml", &bytes)?;
    }

    #[test]
    fn any_text_is_reviewed_without_panic(text in "[a-c,;:\"'&*!|>#%@\\-\\[\\]{}?~<\u{85}\u{2028}é\u{feff}\t\r\n ]{0,60}") {
        assert_sound("a.csv", text.as_bytes())?;
        assert_sound("a.yaml", text.as_bytes())?;
    }

    #[test]
    fn a_damaged_csv_plan_is_reviewed_without_panic(bytes in mutated(CSV)) {
        assert_sound("a.csv", &bytes)?;
    }

    #[test]
    fn a_damaged_yaml_plan_is_reviewed_without_panic(bytes in mutated(YAML)) {
        assert_sound("a.yaml", &bytes)?;
    }

    #[test]
    fn jobs_written_as_csv_or_yaml_are_read_unchanged(jobs in jobs(), soak in 0..604_800_u64) {
        let waves = ["first wave", "second", "no"].map(Wave::named).to_vec();
        let soaks = |(number, wave): (u64, &Wave)| Wave {
            soak: std::time::Duration::from_secs(number * soak / 2),
            ..wave.clone()
        };
        let soaking: Vec<Wave> = (0..).zip(&waves).map(soaks).collect();
        let plans = [
            ("a.csv", as_csv(&jobs, &waves), &waves),
            ("a.yaml", as_yaml(&jobs, &waves), &waves),
            ("a.yaml", as_yaml(&jobs, &soaking), &soaking),
        ];
        for (name, text, waves) in plans {
            match review(name, text.as_bytes()) {
                Ok(plan) => prop_assert_eq!((&plan.jobs, &plan.waves), (&jobs, waves)),
                Err(diagnostics) => prop_assert!(false, "{}\n{text}", diagnostics.render(false)),
            }
        }
    }
}

/// Engine, target, region, expected image, name and note of a row.
type Written = (String, String, String, Option<String>, Option<String>, Option<String>);

/// Sound jobs in three waves, none of them empty; ids are unlike each other but otherwise anything allowed.
fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let id = r"[!-\[\]-~]{1,12}";
    let note = proptest::option::of("[a-zé,\"'#:&*-][ -~é]{0,10}[a-z\"]");
    let job = (
        id,
        id,
        "[a-z]{2,3}-[a-z0-9-]{1,5}",
        proptest::option::of(id),
        proptest::option::of("[a-z数 -]{0,4}[a-z]"),
        note,
    );
    proptest::collection::vec(job, 3..9).prop_map(|written| {
        let count = written.len();
        let job = |(number, row): (usize, Written)| {
            let (engine, target, region, expected, name, note) = row;
            Job {
                key: JobKey {
                    region: Region::new(region),
                    data_engine_id: DataEngineId::new(format!("{engine}{number}")),
                    new_image_version_id: ImageVersionId::new(target),
                },
                wave: number * 3 / count,
                data_engine_name: name.map(|name| DataEngineName::new(format!("{number}{name}"))),
                expected_image_version_id: expected.map(ImageVersionId::new),
                note,
            }
        };
        written.into_iter().enumerate().map(job).collect()
    })
}

fn as_csv(jobs: &[Job], waves: &[Wave]) -> String {
    let mut text =
        "note,data_engine_id,wave,new_image_version_id,region,expected_image_version_id,DataEngineName\n"
            .to_owned();
    for job in jobs {
        let expected = job.expected_image_version_id.as_ref().map_or("", |expected| expected.as_str());
        let name = job.data_engine_name.as_ref().map_or("", |name| name.as_str());
        let note = job.note.as_deref().unwrap_or_default();
        let key = &job.key;
        let values = [
            note,
            key.data_engine_id.as_str(),
            &waves[job.wave].name,
            key.new_image_version_id.as_str(),
            key.region.as_str(),
            expected,
            name,
        ];
        let quoted = values.map(|value| format!("\"{}\"", value.replace('"', "\"\"")));
        text += &(quoted.join(",") + "\n");
    }
    text
}

fn as_yaml(jobs: &[Job], waves: &[Wave]) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let mut lines = vec!["waves:".to_owned()];
    for (number, wave) in waves.iter().enumerate() {
        lines.push(format!("- name: {}", wave.name));
        if !wave.soak.is_zero() {
            lines.push(format!("  soak: {}s", wave.soak.as_secs()));
        }
        lines.push("  engines:".to_owned());
        for job in jobs.iter().filter(|job| job.wave == number) {
            let key = &job.key;
            let expected = job.expected_image_version_id.as_ref();
            lines.push(format!("  - data_engine_id: {}", quoted(key.data_engine_id.as_str())));
            lines.push(format!("    new_image_version_id: {}", quoted(key.new_image_version_id.as_str())));
            lines.push(format!("    region: {}", key.region));
            lines
                .extend(expected.map(|id| format!("    expected_image_version_id: {}", quoted(id.as_str()))));
            let name = job.data_engine_name.as_ref();
            lines.extend(name.map(|name| format!("    data_engine_name: {}", quoted(name.as_str()))));
            lines.extend(job.note.as_ref().map(|note| format!("    note: {}", quoted(note))));
        }
    }
    lines.join("\n")
}
