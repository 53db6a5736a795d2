//! Plans on disk: the examples of `plans/`, and bad ones.

use std::path::Path;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn check(plan: &str) -> Ran {
    let mut command = executable(repository());
    command.args(["check", plan]);
    finish(command)
}

#[test]
fn every_example_plan_and_its_dry_run_succeed_without_warnings() {
    for plan in ["plans/fleet.csv", "plans/staged.yaml", "plans/fleet-rest.csv"] {
        let ran = check(plan);
        assert_eq!(ran.code, Some(0), "{plan}: {}", ran.stderr);
        assert!(
            ran.stdout.contains("no problems found") && ran.stderr.is_empty(),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        let mut command = executable(repository());
        command.args(["run", plan, "--dry-run", "--simulate", "--ledger", "target/no-such.ledger.jsonl"]);
        let ran = finish(command);
        assert_eq!(ran.code, Some(0), "{plan}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn ten_errors_are_reported_with_their_positions_and_nothing_is_sent() {
    for plan in ["tests/plans/ten-mistakes.csv", "tests/plans/ten-mistakes.yaml"] {
        let ran = check(plan);
        assert_eq!(ran.code, Some(2));
        let places =
            ran.stderr.lines().filter(|line| line.trim_start().starts_with(&format!("--> {plan}:"))).count();
        assert_eq!(places, 10, "{}", ran.stderr);
        assert!(ran.stderr.contains("10 errors"), "{}", ran.stderr);
    }
    let stage = Stage::new(&rows(1), "seed: 1\n");
    std::fs::copy(repository().join("tests/plans/ten-mistakes.csv"), stage.path("plan.csv")).expect("copied");
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(stage.simulator.arrivals().is_empty(), "not even the fleet was listed");
    assert!(!stage.path(LEDGER).exists());
}

#[test]
fn unsupported_keys_are_errors() {
    let stage = Stage::new(&rows(1), "seed: 1\n");
    for key in ["max_failures: 5%", "approval: true", "notify: {mail: a}"] {
        let text = format!(
            "{key}\nregion: ap-guangzhou\nnew_image_version_id: image-new\nengines: [DataEngine-0000]\n"
        );
        std::fs::write(stage.path("plan.yaml"), text).expect("written");
        let mut command = executable(stage.folder.path());
        command.args(["check", "plan.yaml"]);
        let ran = finish(command);
        assert_eq!(ran.code, Some(2), "{key}");
        let name = key.split(':').next().expect("a name");
        assert!(ran.stderr.contains(name), "{key}: {}", ran.stderr);
    }
}

#[test]
fn warnings_are_printed_by_check_and_run_and_do_not_stop() {
    let stage = Stage::new(&rows(1), "seed: 1\n");
    let mut command = executable(stage.folder.path());
    command.args(["check", "plan.csv"]);
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: `DataEngine-0000`") && ran.stderr.contains("2 warnings"),
        "{}",
        ran.stderr
    );
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 warnings"), "{}", ran.stderr);
}

#[test]
fn the_main_command_of_the_readme_shows_waves_a_retry_and_a_throttle() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["staged.yaml", "fleet-rest.csv"] {
        std::fs::copy(repository().join("plans").join(name), folder.path().join(name)).expect("copied");
    }
    let mut command = executable(folder.path());
    command.args(["run", "staged.yaml", "--simulate"]);
    command.env_remove("TENCENTCLOUD_SECRET_ID").env_remove("TENCENTCLOUD_SECRET_KEY");
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let soak = ["soaks: canary for 3", "(canary) soaks for 3", "shortens soaks", "soak passed"];
    for shown in ["wave 3 of 3", "InternalError", "rate reduced", "unconfirmed"].into_iter().chain(soak) {
        assert!(ran.stderr.contains(shown), "{shown} is not shown: {}", ran.stderr);
    }
    assert!(ran.stdout.contains("all 24 engines on target"), "{}", ran.stdout);
}
