//! Services that cannot list engines: the plan gives the names, and each engine is read by its name.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, LIST_ENGINES,
    Receipt, SHOW_ENGINE, SWITCH,
};
use dlc_fleet::job::{DataEngineId, DataEngineName, Job, JobKey, Outcome, Region};
use dlc_fleet::simulator::{Simulator, World};
use serde_json::Value;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, signal, survived, wait_for, wait_until};
use crate::staging::{Staging, jobs};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";
pub const NO_LISTING: &str = "unsupported_actions: [DescribeDataEngines]\n";

/// A service that cannot list engines, with engines named `night-0` and so on, and a plan with their names.
fn staged(engines: usize, scenario: &str) -> Stage {
    let stage = Stage::new(&rows(engines), &format!("{NO_LISTING}{scenario}"));
    name_engines(&stage, engines);
    write_plan(&stage, engines, |number| format!("night-{number}"));
    stage
}

pub fn id(number: usize) -> DataEngineId {
    DataEngineId::new(format!("DataEngine-{number:04}"))
}

fn name_engines(stage: &Stage, engines: usize) {
    stage.simulator.with_world(|world| {
        for number in 0..engines {
            let name = DataEngineName::new(format!("night-{number}"));
            assert!(world.set_name(&Region::new("ap-guangzhou"), &id(number), name));
        }
    });
}

fn write_plan(stage: &Stage, engines: usize, name: impl Fn(usize) -> String) {
    let mut text = String::from("DataEngineId,NewImageVersionId,Region,DataEngineName\n");
    for number in 0..engines {
        writeln!(text, "{},image-new,ap-guangzhou,{}", id(number), name(number))
            .expect("a write to a String");
    }
    std::fs::write(stage.path("plan.csv"), text).expect("a plan");
}

/// Outcome, and the code of its reason, by engine.
fn outcomes(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let json = ran.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row =
        |job: &Value| (text(&job["data_engine_id"]), (text(&job["outcome"]), text(&job["reason"]["code"])));
    json["jobs"].as_array().expect("jobs").iter().map(row).collect()
}

fn calls(stage: &Stage, action: &str) -> usize {
    stage.simulator.stats().action(action).received
}

fn assert_done(stage: &Stage, engines: usize, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (engines, 0));
}

#[test]
fn without_a_listing_engines_are_verified_by_name_within_the_rate_limit() {
    let stage = staged(60, CALM);
    let dry = stage.run(&["--dry-run", "--output", "json"]);
    assert_eq!(dry.code, Some(0), "{}{}", dry.stdout, dry.stderr);
    assert_eq!((stage.requests(), calls(&stage, SHOW_ENGINE)), (0, 60), "one call for each engine");
    let ran = stage.run(&["-v"]);
    assert_done(&stage, 60, &ran);
    assert!(ran.stderr.contains("reading engines by name"), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    for action in [SWITCH, SHOW_ENGINE] {
        assert!(stats.action(action).peak_requests_per_second <= 20, "{action}: {stats:?}");
    }
    assert_eq!(stats.answered(LIST_ENGINES, "InvalidAction"), calls(&stage, LIST_ENGINES));
    // at least two reads verify each switch, and one comes before it
    assert!(calls(&stage, SHOW_ENGINE) >= 60 + 3 * 60, "{}", calls(&stage, SHOW_ENGINE));
    let again = stage.run(&[]);
    assert_eq!((again.code, stage.requests()), (Some(0), 60), "{}", again.stderr);
}

#[test]
fn a_slow_survey_prints_a_note() {
    // calls are sent 50 ms apart
    let stage = staged(120, CALM);
    let ran = stage.run(&["--dry-run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("note: still reading the engines of 120 rows").count(),
        1,
        "{}",
        ran.stderr
    );
}

#[test]
fn rows_without_a_name_are_refused_with_two_remedies() {
    let stage = staged(5, CALM);
    write_plan(&stage, 5, |number| if number % 2 == 1 { String::new() } else { format!("night-{number}") });
    for flags in [&[][..], &["--dry-run"]] {
        let ran = stage.run(flags);
        assert_eq!(ran.code, Some(3), "{flags:?}: {}{}", ran.stdout, ran.stderr);
        for words in [
            "2 of 5 rows have no data_engine_name",
            "DataEngine-0001",
            "add data_engine_name to every row",
            "--no-verify",
        ] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        assert_eq!((stage.requests(), calls(&stage, SHOW_ENGINE)), (0, 0));
        assert!(!stage.path(LEDGER).exists());
    }
    let ran = stage.run(&["--no-verify"]);
    assert_eq!((ran.code, stage.requests(), calls(&stage, SHOW_ENGINE)), (Some(0), 5, 0), "{}", ran.stderr);
}

#[test]
fn a_name_of_another_engine_fails_its_row() {
    for scenario in [format!("{NO_LISTING}{CALM}"), CALM.to_owned()] {
        let stage = Stage::new(&rows(5), &scenario);
        name_engines(&stage, 5);
        // three names exchanged in a circle, one that no engine has, and one that is correct
        write_plan(&stage, 5, |number| match number {
            0..3 => format!("night-{}", (number + 1) % 3),
            3 => "nobody".to_owned(),
            _ => format!("night-{number}"),
        });
        let dry = stage.run(&["--dry-run", "--output", "json"]);
        assert_eq!(dry.code, Some(1), "{}", dry.stderr);
        let predicted: Vec<String> = dry.json()["jobs"]
            .as_array()
            .expect("jobs")
            .iter()
            .map(|row| row["prediction"].as_str().expect("a word").to_owned())
            .collect();
        let by_name = scenario.contains(NO_LISTING);
        let nobody = if by_name { "not-found" } else { "would-fail" };
        assert_eq!(predicted, ["would-fail", "would-fail", "would-fail", nobody, "switch"], "{scenario}");
        let ran = stage.run(&["--output", "json"]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let outcomes = outcomes(&ran);
        for number in 0..3 {
            assert_eq!(outcomes[id(number).as_str()], ("failed".to_owned(), "wrong-name".to_owned()));
        }
        let nobody = if by_name { "engine-not-found" } else { "wrong-name" };
        assert_eq!(outcomes[id(3).as_str()], ("failed".to_owned(), nobody.to_owned()));
        assert_eq!(outcomes[id(4).as_str()].0, "switched");
        assert_eq!(stage.requests(), 1, "nothing was sent for the others");
        let words = if by_name {
            "the engine named night-1 has the id DataEngine-0001"
        } else {
            "DataEngine-0000 is named night-0"
        };
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
    }
}

/// A plan of `count` engines with the names that the simulator gives them.
pub fn named_jobs(count: usize, waves: usize, seed: u64) -> Vec<Job> {
    let mut jobs = jobs(count, waves);
    let rows: Vec<(JobKey, bool)> = jobs.iter().map(|job| (job.key.clone(), false)).collect();
    let world = World::holding(seed, &rows);
    for job in &mut jobs {
        let engine = world.engine(&job.key.region, &job.key.data_engine_id).expect("an engine");
        job.data_engine_name = Some(engine.name.clone());
    }
    jobs
}

#[tokio::test(start_paused = true)]
async fn a_large_plan_in_waves_and_bad_scenario_is_proven_by_name_within_both_limits() {
    let seed = 3;
    let scenario = format!(
        "seed: {seed}\n{NO_LISTING}latency: {{median: 120ms, max: 600ms}}\nswitching: {{min: 20s, max: 60s}}\n\
         faults:\n  - {{fault: InternalError, engines: 3%, times: 1}}\n  \
         - {{fault: reset-after-reading, engines: 2%, times: 1}}\n  \
         - {{fault: reset-after-reading, applied: never, engines: 2%, times: 1}}\n  \
         - {{fault: http-502, engines: 5%, action: DescribeDataEngine}}\n"
    );
    let told = Staging::new(named_jobs(400, 3, seed), &scenario).run().await;
    assert_eq!(told.count(Outcome::Switched), 400);
    assert!(told.applied_once());
    let stats = told.simulator.stats();
    for action in [SWITCH, SHOW_ENGINE] {
        assert!(stats.action(action).peak_requests_per_second <= 20, "{action}");
        assert_eq!(stats.answered(action, "RequestLimitExceeded"), 0, "{action}");
    }
    assert!(told.lines("unconfirmed") > 0 && told.lines("not-applied") > 0);
    // at most one read of each engine every five seconds, and no switch takes longer than a minute
    let looks = stats.action(SHOW_ENGINE).received;
    assert!(looks < 20 * 400, "{looks}");
    let [switches, shown] = [SWITCH, SHOW_ENGINE].map(|action| stats.action(action).peak_requests_per_second);
    survived(
        "a service that cannot list engines, with faults and lost responses; each engine is read by its name",
        &format!(
            "400 engines switched, 0 twice; {looks} looks, at most {shown} looks and {switches} switches in any second"
        ),
    );
}

/// A simulator whose reads of one engine by name never return once the run has started.
struct OneNameHangs {
    simulator: Simulator,
    name: DataEngineName,
    begun: AtomicBool,
    /// Calls without a response.
    hung: Arc<AtomicUsize>,
}

impl Fleet for OneNameHangs {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.simulator.engines(region, page).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        self.simulator.engines_by_id(region, kind, ids).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        if self.begun.load(Ordering::Relaxed) && *name == self.name {
            self.hung.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        self.simulator.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.simulator.images(region, engine_type).await
    }
}

impl Cloud for OneNameHangs {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        self.begun.store(true, Ordering::Relaxed);
        self.simulator.switch(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_by_name_that_hangs_delays_only_its_own_engine() {
    let mut staging =
        Staging::new(named_jobs(30, 1, 1), &format!("{NO_LISTING}latency: {{median: 50ms, max: 60ms}}\n"));
    staging.options.wait_timeout = Duration::from_secs(45);
    let name = staging.jobs[7].data_engine_name.clone().expect("a name");
    let hung = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hung);
    let told = staging
        .run_in(|simulator| OneNameHangs { simulator, name, begun: AtomicBool::new(false), hung: count })
        .await;
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::TimedOut)), (29, 1));
    // each read times out after 30 s, and no second one starts before
    assert_eq!(hung.load(Ordering::Relaxed), 2);
}

#[test]
fn lost_responses_and_killed_runs_are_verified_by_name() {
    let scenario = format!(
        "{CALM}faults:\n  - {{fault: reset-after-reading, engines: [DataEngine-0001], times: 1}}\n  \
         - {{fault: reset-after-reading, applied: never, engines: [DataEngine-0002], times: 1}}\n"
    );
    let stage = staged(40, &scenario);
    let child = stage.command(&["--yes", "--resend-after", "1s"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 12);
    signal(child.id(), "KILL");
    wait_for(child);
    let ran = stage.run(&["--resend-after", "1s"]);
    assert_done(&stage, 40, &ran);
    assert!(stage.ledger().contains("\"kind\":\"unconfirmed\""));
    assert!(stage.ledger().contains("\"kind\":\"not-applied\""));
}

#[test]
fn a_plan_in_waves_is_verified_by_name_and_can_be_simulated() {
    let stage = staged(6, CALM);
    let engine =
        |number: usize| format!("{{data_engine_id: {}, data_engine_name: night-{number}}}", id(number));
    let (first, rest): (Vec<String>, Vec<String>) = (vec![engine(0)], (1..6).map(engine).collect());
    let text = format!(
        "region: ap-guangzhou\nnew_image_version_id: image-new\nwaves:\n- name: canary\n  engines: [{}]\n- name: \
         rest\n  engines: [{}]\n",
        first.join(", "),
        rest.join(", ")
    );
    std::fs::write(stage.path("plan.yaml"), text).expect("written");
    let run = |flags: &[&str]| {
        let mut command = executable(stage.folder.path());
        command.args(["run", "plan.yaml", "--yes", "--min-ready", "400ms"]).args(flags);
        finish(command)
    };
    let ran = run(&["--endpoint", &format!("http://{}", stage.address)]);
    assert_done(&stage, 6, &ran);
    // with and without a listing, the simulator gives its engines the names of the plan
    std::fs::write(stage.path("lacking.yaml"), NO_LISTING).expect("written");
    for scenario in ["--simulate=lacking.yaml", "--simulate"] {
        let ran = run(&[scenario, &format!("--ledger={scenario}.jsonl")]);
        assert_eq!(ran.code, Some(0), "{scenario}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_permission_missing_for_one_engine_fails_its_row_and_for_all_engines_the_run() {
    let denied = |times: &str| {
        format!("{CALM}faults:\n  - {{fault: UnauthorizedOperation, action: DescribeDataEngine{times}}}\n")
    };
    let stage = staged(4, &denied(", times: 1"));
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let outcomes = outcomes(&ran);
    let count =
        |what: (&str, &str)| outcomes.values().filter(|row| (row.0.as_str(), row.1.as_str()) == what).count();
    assert_eq!((count(("failed", "UnauthorizedOperation")), count(("switched", ""))), (1, 3), "{outcomes:?}");
    assert_eq!(stage.requests(), 3);
    let stage = staged(4, &denied(""));
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("grant dlc:DescribeDataEngine to this key"), "{}", ran.stderr);
    assert_eq!(stage.requests(), 0);
}

#[test]
fn a_service_with_neither_read_action_is_reported() {
    let scenario = format!("unsupported_actions: [DescribeDataEngines, DescribeDataEngine]\n{CALM}");
    let stage = Stage::new(&rows(2), &scenario);
    name_engines(&stage, 2);
    write_plan(&stage, 2, |number| format!("night-{number}"));
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("with DescribeDataEngine: ") && ran.stderr.contains("InvalidAction"),
        "{}",
        ran.stderr
    );
    assert_eq!(stage.requests(), 0);
}

#[test]
fn where_engines_are_listed_a_correct_name_changes_nothing() {
    let stage = Stage::new(&rows(4), CALM);
    name_engines(&stage, 4);
    write_plan(&stage, 4, |number| if number < 3 { format!("night-{number}") } else { String::new() });
    let ran = stage.run(&[]);
    assert_done(&stage, 4, &ran);
    assert_eq!(calls(&stage, SHOW_ENGINE), 0);
}
