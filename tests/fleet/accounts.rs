//! Keys, region and endpoint from files of other tools in a home directory, as the executable finds them.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stage::{
    LEDGER, Ran, SECRET_ID, SECRET_KEY, Stage, TOKEN, executable, finish, rows, without_keys,
};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// What no output, log or ledger may ever show.
const MARKED: &str = "MARKED-AS-SECRET";

const TCCLI: &str = ".tccli/default.credential";
const SETTINGS: &str = ".tccli/default.configure";
const SDKS: &str = ".tencentcloud/credentials";

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 3_600
}

/// Good keys as a profile of tccli holds them, with more fields.
fn profile(more: &str) -> String {
    format!(r#"{{"secretId": "{SECRET_ID}", "secretKey": "{SECRET_KEY}"{more}}}"#)
}

/// Keys that the simulator does not know, in a profile.
fn bad_profile() -> String {
    format!(r#"{{"secretId": "AKIDother", "secretKey": "{MARKED}"}}"#)
}

fn ini(id: &str, key: &str) -> String {
    format!("[default]\nsecret_id = {id}\nsecret_key = {key}\n")
}

/// Writes a file into the home directory, readable by its owner alone.
fn write(stage: &Stage, path: &str, text: &str) -> PathBuf {
    let path = stage.path(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("written");
    set_mode(&path, 0o600);
    path
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// The command without keys in its environment.
fn bare(stage: &Stage, flags: &[&str]) -> Command {
    let mut command = stage.command(flags);
    without_keys(&mut command);
    command
}

fn run(stage: &Stage, flags: &[&str]) -> Ran {
    let flags: Vec<&str> = ["--yes"].iter().chain(flags).copied().collect();
    finish(bare(stage, &flags))
}

#[test]
fn engines_are_switched_with_the_keys_of_every_kind_of_file() {
    let temporary = format!(r#", "token": "{TOKEN}""#);
    let login = |kind: &str| {
        let until = in_an_hour();
        format!(r#"{temporary}, "type": "{kind}", "expiresAt": {until}, "{kind}": {{"expiresAt": {until}}}"#)
    };
    for (path, text, token) in [
        (TCCLI, profile(""), None),
        (TCCLI, format!("\u{feff}{}\r\n", profile("").replace(", ", ",\r\n")), None),
        (TCCLI, profile(&temporary), Some(TOKEN)),
        (TCCLI, profile(&login("sso")), Some(TOKEN)),
        (TCCLI, profile(&login("oauth")), Some(TOKEN)),
        (SDKS, ini(SECRET_ID, SECRET_KEY), None),
        (SDKS, format!("\u{feff}{}", ini(SECRET_ID, SECRET_KEY).replace('\n', "\r\n")), None),
    ] {
        let stage = Stage::with_token(&rows(2), CALM, token);
        write(&stage, path, &text);
        let ran = run(&stage, &[]);
        assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{path} {text}: {}", ran.stderr);
        assert!(!ran.stderr.contains("other users"), "{}", ran.stderr);
    }
}

#[test]
fn temporary_keys_of_a_file_are_read_again_when_the_service_refuses_them() {
    let weather = format!("{CALM}faults:\n  - {{fault: AuthFailure.TokenFailure, times: 1}}\n");
    let stage = Stage::with_token(&rows(2), &weather, Some(TOKEN));
    write(&stage, TCCLI, &profile(&format!(r#", "token": "{TOKEN}""#)));
    let ran = run(&stage, &[]);
    assert_eq!((ran.code, stage.requests()), (Some(0), 4), "{}", ran.stderr);
}

/// Who has the good keys, from the source that goes first to the one that goes last.
#[test]
fn of_several_sources_the_first_one_counts() {
    let stage = Stage::with_token(&rows(1), CALM, None);
    let elsewhere = write(&stage, "elsewhere", "").display().to_string();
    // a profile by flag, the environment, a profile by variable, the default profile, the SDKs' variable and file
    let sources = ["flag", "environment", "variable", "default", "elsewhere", SDKS];
    let reach = |used: &[usize], good: usize| {
        for path in [".tccli/flag.credential", ".tccli/variable.credential", TCCLI, "elsewhere", SDKS] {
            let _ = std::fs::remove_file(stage.path(path));
        }
        let mut flags = vec!["--dry-run"];
        let mut variables: Vec<(&str, &str)> = Vec::new();
        for &number in used {
            let tccli = if number == good { profile("") } else { bad_profile() };
            let (id, key) = if number == good { (SECRET_ID, SECRET_KEY) } else { ("AKIDother", MARKED) };
            match sources[number] {
                "flag" => {
                    flags.extend(["--profile", "flag"]);
                    write(&stage, ".tccli/flag.credential", &tccli);
                }
                "environment" => {
                    variables.extend([("TENCENTCLOUD_SECRET_ID", id), ("TENCENTCLOUD_SECRET_KEY", key)]);
                }
                "variable" => {
                    variables.push(("TCCLI_PROFILE", "variable"));
                    write(&stage, ".tccli/variable.credential", &tccli);
                }
                "default" => drop(write(&stage, TCCLI, &tccli)),
                "elsewhere" => {
                    variables.push(("TENCENTCLOUD_CREDENTIALS_FILE", &elsewhere));
                    write(&stage, "elsewhere", &ini(id, key));
                }
                path => drop(write(&stage, path, &ini(id, key))),
            }
        }
        let mut command = bare(&stage, &flags);
        command.envs(variables);
        finish(command)
    };
    for first in 0..sources.len() {
        let used: Vec<usize> = (first..sources.len()).collect();
        let ran = reach(&used, first);
        assert_eq!(ran.code, Some(0), "{}: {}", sources[first], ran.stderr);
        let Some(next) = used.get(1) else { continue };
        let ran = reach(&used, *next);
        assert_eq!(
            ran.code,
            Some(3),
            "{} although {} is there: {}",
            sources[*next],
            sources[first],
            ran.stderr
        );
        assert!(ran.stderr.contains("AuthFailure.SecretIdNotFound"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(MARKED), "{}", ran.stderr);
    }
}

#[test]
fn a_login_that_is_over_sends_nothing_and_names_the_command_that_renews_it() {
    for (kind, command) in [("sso", "sso"), ("oauth", "auth")] {
        let stage = Stage::with_token(&rows(2), CALM, Some(TOKEN));
        let more = format!(r#", "token": "{MARKED}", "type": "{kind}", "expiresAt": 1700000000"#);
        write(&stage, ".tccli/prod.credential", &profile(&more));
        let ran = run(&stage, &["--profile", "prod"]);
        assert_eq!((ran.code, stage.requests()), (Some(3), 0), "{}", ran.stderr);
        let told = format!("expired at 2023-11-14T22:13:20Z: run `tccli {command} login --profile prod`");
        assert!(ran.stderr.contains(&told) && !ran.stderr.contains(MARKED), "{}", ran.stderr);
    }
}

/// The stage's simulator as a profile names it, with the plan's region left out of the plan.
fn stage_of_a_profile() -> Stage {
    let stage = Stage::with_token(&rows(2), CALM, None);
    let plan = std::fs::read_to_string(stage.path("plan.csv")).expect("a plan");
    std::fs::write(stage.path("plan.csv"), plan.replace(",ap-guangzhou", "").replace(",region", ""))
        .expect("written");
    write(&stage, TCCLI, &profile(""));
    stage
}

fn settings(stage: &Stage, region: &str) -> String {
    let address = stage.address;
    format!(r#"{{"_sys_param": {{"region": "{region}"}}, "dlc": {{"endpoint": "http://{address}"}}}}"#)
}

/// A command in that stage without keys in its environment, and with nothing but these arguments.
fn plain(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = executable(stage.folder.path());
    without_keys(&mut command);
    command.args(arguments);
    command
}

#[test]
fn region_and_endpoint_come_from_the_profile_and_are_shown() {
    let stage = stage_of_a_profile();
    write(&stage, SETTINGS, &settings(&stage, "ap-guangzhou"));
    write(&stage, ".tccli/bare.credential", &profile(""));
    for (flags, code) in [(&[][..], 0), (&["--profile", "default"], 0), (&["--profile", "bare"], 2)] {
        let checked = finish(plain(&stage, &[&["check", "plan.csv"], flags].concat()));
        assert_eq!(checked.code, Some(code), "{flags:?}: {}", checked.stderr);
    }
    let ran = finish(plain(&stage, &["run", "plan.csv", "--yes", "--no-wait"]));
    assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("http://{}", stage.address)), "{}", ran.stderr);
    assert!(stage.ledger().contains("ap-guangzhou"));
}

#[test]
fn the_region_of_a_profile_goes_behind_the_environment_unless_the_profile_was_asked_for() {
    let stage = stage_of_a_profile();
    write(&stage, ".tccli/prod.credential", &profile(""));
    write(&stage, ".tccli/prod.configure", &settings(&stage, "ap-guangzhou"));
    write(&stage, SETTINGS, &settings(&stage, "ap-tokyo"));
    for (flags, variables, region) in [
        (
            &["--region", "ap-guangzhou", "--profile", "prod"][..],
            &[("TENCENTCLOUD_REGION", "ap-seoul")][..],
            "ap-guangzhou",
        ),
        (&["--region", "ap-beijing", "--profile", "prod"], &[], "ap-beijing"),
        (&["--profile", "prod"], &[("TENCENTCLOUD_REGION", "ap-seoul")], "ap-guangzhou"),
        (&[], &[("TENCENTCLOUD_REGION", "ap-seoul"), ("TCCLI_PROFILE", "prod")], "ap-seoul"),
        (&[], &[("TCCLI_PROFILE", "prod")], "ap-guangzhou"),
        (&[], &[], "ap-tokyo"),
    ] {
        let mut command = plain(&stage, &["run", "plan.csv", "--dry-run", "--offline", "--output", "json"]);
        command.args(flags).envs(variables.iter().copied());
        let ran = finish(command);
        let rows = &ran.json()["jobs"];
        assert_eq!(rows[0]["region"], region, "{flags:?} {variables:?}: {}", ran.stdout);
    }
}

#[test]
fn a_rehearsal_reads_no_file_of_an_account() {
    let stage = Stage::with_token(&rows(2), CALM, None);
    for path in [TCCLI, SETTINGS, SDKS] {
        write(&stage, path, "broken");
    }
    let ran = finish(plain(&stage, &["run", "plan.csv", "--simulate", "--yes", "--profile", "nowhere"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(finish(plain(&stage, &["run", "plan.csv", "--yes"])).code, Some(2), "they are broken");
}

#[test]
fn without_any_keys_every_place_is_named_and_nothing_is_sent() {
    let stage = Stage::with_token(&rows(2), CALM, None);
    let ran = run(&stage, &[]);
    assert_eq!((ran.code, stage.requests()), (Some(3), 0), "{}", ran.stderr);
    let places = ["TENCENTCLOUD_SECRET_ID", TCCLI, SDKS, "/etc/tencentcloud/credentials"];
    for place in places {
        assert!(ran.stderr.contains(place), "{place}: {}", ran.stderr);
    }
    for remedy in ["`tccli auth login`", "`tccli configure`", "--simulate"] {
        assert!(ran.stderr.contains(remedy), "{remedy}: {}", ran.stderr);
    }
}

#[test]
fn a_profile_that_is_not_there_is_a_usage_error_that_lists_the_others() {
    let stage = Stage::with_token(&rows(2), CALM, None);
    write(&stage, ".tccli/prod.credential", &profile(""));
    write(&stage, TCCLI, &profile(""));
    for flags in [&["--profile", "prd"][..], &["--profile", "prd", "--region", "ap-tokyo"]] {
        let ran = run(&stage, flags);
        assert_eq!((ran.code, stage.requests()), (Some(2), 0), "{}", ran.stderr);
        assert!(ran.stderr.contains(".tccli/prd.credential does not exist"), "{}", ran.stderr);
        assert!(ran.stderr.contains("the profiles default, prod"), "{}", ran.stderr);
    }
}

#[test]
fn a_file_that_others_can_read_is_warned_of_once() {
    for (path, text) in [(TCCLI, profile("")), (SDKS, ini(SECRET_ID, SECRET_KEY))] {
        let stage = Stage::with_token(&rows(2), CALM, None);
        let file = write(&stage, path, &text);
        set_mode(&file, 0o640);
        set_mode(file.parent().expect("a folder"), 0o755);
        let ran = run(&stage, &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let told =
            format!("warning: other users can access {0} (mode 0640): run `chmod 600 {0}`", file.display());
        assert_eq!(ran.stderr.matches("chmod").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    }
}

#[test]
fn no_secret_of_a_file_is_ever_shown_or_kept() {
    let marked =
        |id: &str| format!(r#"{{"secretId": "{id}", "secretKey": "{MARKED}", "token": "{MARKED}"}}"#);
    for (path, text) in [
        (TCCLI, marked("AKIDother")),
        (TCCLI, marked(SECRET_ID)),
        (TCCLI, marked(MARKED)),
        (TCCLI, format!("{}x", marked(MARKED))),
        (TCCLI, format!(r#"{{"secretId": "{MARKED}"}}"#)),
        (TCCLI, format!(r#"{{"secretId": ["{MARKED}"], "secretKey": "{MARKED}"}}"#)),
        (TCCLI, format!(r#"{{"secretId": "{MARKED} ", "secretKey": "{MARKED}"}}"#)),
        (TCCLI, format!(r#"{{"type": "{MARKED}", "expiresAt": "{MARKED}"}}"#)),
        (SDKS, ini("AKIDother", MARKED)),
        (SDKS, ini(MARKED, MARKED)),
        (SDKS, format!("{MARKED}\n")),
        (SDKS, format!("[default]\n{MARKED}\n")),
        (SDKS, ini("AKIDother", &format!("\"{MARKED}"))),
    ] {
        let stage = Stage::with_token(&rows(1), CALM, None);
        write(&stage, path, &text);
        let ran = run(&stage, &["-vv", "--log-file", "run.log", "--output", "json"]);
        assert_eq!((ran.code, stage.requests()), (Some(3), 0), "{text}: {}", ran.stderr);
        let log = std::fs::read_to_string(stage.path("run.log")).expect("a log");
        let ledger = std::fs::read_to_string(stage.path(LEDGER)).unwrap_or_default();
        for kept in [ran.stdout, ran.stderr, log, ledger] {
            assert!(!kept.contains(MARKED), "{text}: {kept}");
        }
    }
}
