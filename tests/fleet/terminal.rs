//! A run on a terminal: the prompt, Ctrl-C, Ctrl-Z, a lost connection, `nohup`.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::execution::{Execution, Parent};
use crate::stage::{LEDGER, Stage, executable, finish, rows, signal, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// Asserts that the ledger is valid, and that the same command switches every engine that is left, each once.
fn all_ends_well(stage: &Stage, engines: u64) {
    let mut verify = executable(stage.folder.path());
    verify.args(["ledger", "check", LEDGER]);
    let verified = finish(verify);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let ran = stage.run(&["--resend-after", "1s"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied, stats.applied_more_than_once.len()), (engines, 0));
}

#[test]
fn the_prompt_says_what_will_happen_and_asks_again_after_a_wrong_number() {
    let stage = Stage::new(&rows(4), CALM);
    stage.write_plan(&rows(1));
    assert_eq!(stage.run(&[]).code, Some(0));
    stage.write_plan(&rows(4));
    for (answers, code) in
        [([Some("4\n"), Some("three\n"), Some("\n")], 3), ([Some("4\n"), Some("3\n"), None], 0)]
    {
        let mut run = Execution::on_terminal(&stage, &stage.command(&[]), Parent::Nobody);
        for (number, answer) in answers.into_iter().enumerate() {
            let Some(answer) = answer else { break };
            wait_until("it asks", || run.printed().matches("to continue: ").count() == number + 1);
            run.type_in(answer);
        }
        let (ended, printed) = run.end();
        assert_eq!(ended, Some(code), "{printed}");
        assert_eq!(stage.requests(), if code == 0 { 4 } else { 1 }, "{printed}");
        for expected in [
            "3 to switch, 1 done",
            "image-new (3)",
            "ap-guangzhou (3)",
            "type the number of engines that may be switched (3) to continue: ",
            "\"4\" is not 3; type 3 to continue: ",
        ] {
            assert!(printed.contains(expected), "{expected} is missing: {printed}");
        }
    }
}

#[test]
fn ctrl_c_ends_the_prompt_and_the_run() {
    let stage = Stage::new(&rows(20), CALM);
    for answer in [None, Some("20\n")] {
        let mut run =
            Execution::on_terminal(&stage, &stage.command(&["--resend-after", "1s"]), Parent::Nobody);
        wait_until("it asks", || run.printed().contains("type the number"));
        if let Some(answer) = answer {
            run.type_in(answer);
            wait_until("requests arrive", || stage.requests() > 2);
        }
        run.type_in("\u{3}");
        let (code, printed) = run.end();
        assert_eq!(code, Some(130), "{printed}");
        assert!(printed.contains("interrupted by SIGINT") && printed.contains("run plan.csv"), "{printed}");
        assert!(
            answer.is_some() || printed.contains("\nerror: interrupted"),
            "on a line of its own: {printed}"
        );
        assert_eq!(stage.requests() > 0, answer.is_some());
        assert!(
            !printed.contains("  ^C"),
            "behind a full line it would wrap, and a bar would stay: {printed}"
        );
    }
    all_ends_well(&stage, 20);
}

#[test]
fn after_ctrl_z_nothing_happens_and_after_fg_the_run_continues_and_draws_its_bars() {
    // answers come while the tool is stopped, and longer ago than it would have waited for them
    let stage =
        Stage::new(&rows(30), "latency: {median: 200ms, max: 300ms}\nswitching: {min: 300ms, max: 600ms}\n");
    let flags = ["--yes", "--resend-after", "1s", "--request-timeout", "1s"];
    let mut run = Execution::on_terminal(&stage, &stage.command(&flags), Parent::Jobs);
    wait_until("requests arrive", || stage.requests() > 4);
    run.type_in("\u{1a}");
    wait_until("the shell is back", || run.is_stopped());
    let pause = || std::thread::sleep(Duration::from_millis(1_500));
    // what had left before has arrived by then
    pause();
    let (requests, drawn) = (stage.requests(), run.printed().matches("on target").count());
    pause();
    assert_eq!(stage.requests(), requests, "it is stopped");
    assert_eq!(run.printed().matches("on target").count(), drawn, "it is stopped");
    run.go_on();
    let (_, printed) = run.end();
    assert!(printed.matches("on target").count() > drawn + 2, "{printed}");
    assert!(printed.contains("all 30 engines on target"), "{printed}");
    all_ends_well(&stage, 30);
}

#[test]
fn a_run_whose_terminal_is_closed_ends_as_after_a_signal() {
    let stage = Stage::new(&rows(20), CALM);
    let run = Execution::on_terminal(&stage, &stage.command(&["--yes", "-v"]), Parent::Nobody);
    wait_until("requests arrive", || stage.requests() > 2);
    run.hang_up();
    let ledger = stage.ledger();
    let last = ledger.lines().last().expect("a line");
    assert!(
        last.contains("\"kind\":\"run-ended\"") && last.contains("the run was stopped by SIGHUP"),
        "{last}"
    );
    assert!(stage.requests() < 20);
    all_ends_well(&stage, 20);
}

#[test]
fn a_prompt_whose_terminal_is_closed_confirms_nothing_even_if_sighup_is_ignored() {
    let stage = Stage::new(&rows(3), CALM);
    let run = Execution::on_terminal(&stage, &stage.command(&[]), Parent::Deaf);
    wait_until("it asks", || run.printed().contains("type the number"));
    let (code, printed) = run.hang_up();
    assert_eq!(code, Some(129), "{printed}");
    assert_eq!(stage.requests(), 0);
    assert_eq!(
        std::fs::read_dir(stage.folder.path()).expect("a folder").count(),
        1,
        "only the plan is there"
    );
    assert_eq!(stage.run(&[]).code, Some(0));
}

#[test]
fn a_run_started_with_nohup_continues_without_its_terminal() {
    let stage = Stage::new(&rows(12), CALM);
    let run = stage.command(&["--yes"]);
    let mut shell = Command::new("sh");
    shell
        .current_dir(stage.folder.path())
        .arg("-c")
        .arg("trap '' HUP; exec \"$0\" \"$@\"")
        .arg(run.get_program());
    shell
        .args(run.get_args())
        .env_clear()
        .envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = shell.spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 3);
    signal(child.id(), "HUP");
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn signals_that_are_not_handled_kill_the_run_and_it_resumes() {
    for name in ["QUIT", "USR1", "USR2", "ALRM"] {
        let stage = Stage::new(&rows(8), CALM);
        // it is not over before the signal comes, however late that is
        let run = stage.command(&["--yes", "--min-ready", "60s"]).spawn().expect("it starts");
        wait_until("requests arrive", || stage.requests() >= 3);
        signal(run.id(), name);
        assert_eq!(wait_for(run).code, None, "SIG{name}");
        all_ends_well(&stage, 8);
    }
}

#[test]
fn a_signal_while_a_large_plan_is_read_ends_the_run_before_it_starts() {
    let stage = Stage::new(&rows(1), CALM);
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        stage.write_plan(&rows(100_000));
        let run = stage.command(&["--yes"]).spawn().expect("it starts");
        let status = format!("/proc/{}/status", run.id());
        let caught = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
            let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or_default();
            // SIGHUP is 1, SIGINT 2 and SIGTERM 15
            mask & 0x4003 == 0x4003
        };
        wait_until("signals are handled", caught);
        signal(run.id(), name);
        let ran = wait_for(run);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains("before anything was sent or written"), "{}", ran.stderr);
        assert_eq!(std::fs::read_dir(stage.folder.path()).expect("a folder").count(), 1);
    }
}
