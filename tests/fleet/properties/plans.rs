//! Plans and scenarios out of any bytes.

use std::collections::BTreeSet;
use std::fs;

use dlc_fleet::job::Region;
use dlc_fleet::plan::{self, MAX_JOBS, Plan, PlanError, is_region};
use dlc_fleet::simulator::{Engines, Scenario};
use proptest::prelude::*;

use super::mutation::{mutated, noise};
use super::typed::is_one_line;

const CSV: [&str; 3] = [
    "data_engine_id,new_image_version_id,region\nDataEngine-a,image-new,ap-guangzhou\nDataEngine-b,image-new,ap-guangzhou\n",
    "note,wave,DataEngineId,NewImageVersionId,Region,expected_image_version_id\n\"x, \"\"y\"\"\",one,DataEngine-a,i,ap-a,old\n,two,DataEngine-b,i,ap-b,\n",
    "data_engine_id,new_image_version_id\nDataEngine-a,image-new\n",
];

const CSV_PIECES: [&str; 16] = [
    ",",
    "\n",
    "\"",
    "\"\"",
    "\r\n",
    ";",
    "\t",
    "data_engine_id",
    "new_image_version_id",
    "region",
    "wave",
    "note",
    "DataEngine-a",
    "ap-guangzhou",
    "\u{feff}",
    "é",
];

const YAML: [&str; 3] = [
    "region: ap-guangzhou\nnew_image_version_id: i\nengines: [DataEngine-a, DataEngine-b]\n",
    "new_image_version_id: i\nwaves:\n  - name: one\n    engines:\n      - {data_engine_id: a, region: ap-a, note: x}\n  - name: two\n    engines: [b, {from: fleet.csv}]\n",
    "engines:\n  - data_engine_id: &a DataEngine-a\n    new_image_version_id: *a\n    expected_image_version_id: old\n    region: ap-a\n",
];

const YAML_PIECES: [&str; 24] = [
    ": ",
    "\n",
    "- ",
    "  ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "'",
    "\"",
    "|\n",
    "#",
    "!!str ",
    "<<: ",
    "---\n",
    "engines:",
    "waves:",
    "name",
    "from: fleet.csv",
    "region",
    "~",
];

const SCENARIOS: [&str; 2] = [
    "seed: 7\nlatency: {median: 120ms, max: 600ms}\nswitching: {min: 2s, max: 4s}\nimage_changes: at-start\nrate_limit_window: fixed\nrate_limit: 15\nclock_skew: -10m\nrun_defaults: {min_ready: 1s}\n",
    "faults:\n  - {fault: InternalError, engines: 3%, times: 1}\n  - {fault: close-after-reading, applied: after 5s, engines: [x], from: 1s, until: 2s}\n  - {fault: other-client, requests_per_second: 3}\n  - {fault: undocumented A.B, action: any}\n",
];

const SCENARIO_PIECES: [&str; 20] = [
    "fault: ",
    "undocumented ",
    "http-599",
    "engines: ",
    "100%",
    "applied: ",
    "after ",
    "5s",
    "1m30s",
    "-1s",
    "0",
    ", ",
    "{",
    "}",
    "\n",
    "requests_per_second: 1",
    "times: 2",
    "action: any",
    "4294967295",
    "'",
];

/// A cell that is sound more often than not.
fn cell(sound: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => prop::sample::select(sound), 1 => prop::sample::select(odd)]
}

/// A few rows, most of them sound.
fn rows() -> impl Strategy<Value = Vec<[&'static str; 5]>> {
    let engine = cell(&["DataEngine-a", "DataEngine-b", "c", "d", "e"], &["", "a b", "DataEngine-", "é"]);
    let image = cell(&["i", "j"], &["", "j\u{200b}"]);
    let region = cell(&["ap-a", "ap-b"], &["", "ap", "AP-A", "ap-\u{430}"]);
    let wave = cell(&["one", "two", "three"], &["", "\u{202e}one"]);
    let note = cell(&["", "x, y"], &["\u{1b}[31m", "\u{2066}x"]);
    let row = (engine, image, region, wave, note).prop_map(|(a, b, c, d, e)| [a, b, c, d, e]);
    prop::collection::vec(row, 1..5)
}

fn as_csv(rows: &[[&str; 5]]) -> Vec<u8> {
    let lines = rows.iter().map(|row| row.map(|cell| format!("\"{cell}\"")).join(",") + "\n");
    let header = "data_engine_id,new_image_version_id,region,wave,note\n";
    (header.to_owned() + &lines.collect::<String>()).into_bytes()
}

/// The same as YAML, one wave for each row.
fn as_yaml(rows: &[[&str; 5]]) -> Vec<u8> {
    let lines = rows.iter().map(|[engine, image, region, wave, note]| {
        let keys = format!("data_engine_id: '{engine}', new_image_version_id: '{image}', region: '{region}'");
        format!("  - {{name: '{wave}', engines: [{{{keys}, note: '{note}'}}]}}\n")
    });
    ("waves:\n".to_owned() + &lines.collect::<String>()).into_bytes()
}

fn load(name: &str, bytes: &[u8], region: Option<&Region>) -> Result<Plan, PlanError> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("fleet.csv"), CSV[2]).expect("written");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    plan::load(&path, region)
}

/// A plan is sound, or every diagnostic has its position and its fix.
fn judge(loaded: &Result<Plan, PlanError>) {
    match loaded {
        Ok(plan) => is_sound(plan),
        Err(PlanError::Invalid(diagnostics)) => {
            let page = diagnostics.render(false);
            let counted = |what: &str| page.matches(what).count();
            assert!(!diagnostics.is_empty() && counted(" --> ") >= diagnostics.len().min(100), "{page}");
            assert_eq!(counted("= help: "), diagnostics.len().min(100), "{page}");
            assert!(!page.contains(|sign: char| sign.is_control() && sign != '\n'), "{page:?}");
        }
        Err(error) => panic!("{error}"),
    }
}

fn is_sound(plan: &Plan) {
    assert!(!plan.jobs.is_empty() && plan.jobs.len() <= MAX_JOBS);
    let engines: BTreeSet<_> =
        plan.jobs.iter().map(|job| (&job.key.region, &job.key.data_engine_id)).collect();
    assert_eq!(engines.len(), plan.jobs.len(), "each engine once");
    let is_id = |id: &str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let waves: BTreeSet<_> = plan.waves.iter().map(|wave| &wave.name).collect();
    assert!(waves.len() == plan.waves.len() && plan.jobs.is_sorted_by_key(|job| job.wave));
    for job in &plan.jobs {
        assert!(
            is_id(job.key.data_engine_id.as_str()) && is_id(job.key.new_image_version_id.as_str()),
            "{job:?}"
        );
        assert!(is_region(job.key.region.as_str()) && job.wave < plan.waves.len(), "{job:?}");
        assert!(job.expected_image_version_id.as_ref().is_none_or(|id| is_id(id.as_str())), "{job:?}");
        assert!(is_one_line(job.note.as_deref().unwrap_or_default()), "{job:?}");
    }
    assert!(plan.digest.len() == 64 && plan.digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

fn check_scenario(text: &str) {
    match Scenario::parse(text, "scenario.yaml") {
        Ok(scenario) => {
            assert!(scenario.latency.median <= scenario.latency.max && scenario.rate_limit > 0);
            assert!(scenario.switching.min <= scenario.switching.max);
            for rule in &scenario.faults {
                assert!(rule.times.is_none_or(|times| times > 0), "{rule:?}");
                assert!(rule.until.is_none_or(|until| rule.from.is_none_or(|from| from < until)), "{rule:?}");
                match rule.engines {
                    Engines::Share(share) => assert!((0.0..=100.0).contains(&share), "{rule:?}"),
                    Engines::First(number) => assert!(number > 0, "{rule:?}"),
                    Engines::All | Engines::Listed(_) => {}
                }
                assert!(!format!("{:?}", rule.fault).contains("\"\""), "a refusal has a code: {rule:?}");
            }
        }
        Err(error) => {
            // YAML ends lines at a CR that stands alone, too
            let lines = text.split(['\n', '\r']).count() as u64;
            assert!((1..=lines).contains(&error.line) && error.column > 0, "{error}");
            assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn any_csv_is_a_sound_plan_or_a_list_of_diagnostics(
        bytes in prop_oneof![mutated(&CSV, &CSV_PIECES), noise(&CSV_PIECES), rows().prop_map(|rows| as_csv(&rows))],
        has_region in any::<bool>(),
    ) {
        let region = Region::new("ap-shanghai");
        judge(&load("plan.csv", &bytes, has_region.then_some(&region)));
    }

    #[test]
    fn any_yaml_is_a_sound_plan_or_a_list_of_diagnostics(
        bytes in prop_oneof![mutated(&YAML, &YAML_PIECES), noise(&YAML_PIECES), rows().prop_map(|rows| as_yaml(&rows))],
        has_region in any::<bool>(),
    ) {
        let region = Region::new("ap-shanghai");
        judge(&load("plan.yaml", &bytes, has_region.then_some(&region)));
    }

    #[test]
    fn any_text_is_a_sound_scenario_or_an_error_with_its_place(
        bytes in prop_oneof![mutated(&SCENARIOS, &SCENARIO_PIECES), noise(&SCENARIO_PIECES)],
    ) {
        check_scenario(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_texts_that_are_changed_are_valid_before() {
    let region = Region::new("ap-shanghai");
    for text in CSV {
        is_sound(&load("plan.csv", text.as_bytes(), Some(&region)).expect(text));
    }
    for text in YAML {
        is_sound(&load("plan.yaml", text.as_bytes(), Some(&region)).expect(text));
    }
    for text in SCENARIOS {
        Scenario::parse(text, "scenario.yaml").expect(text);
    }
}
