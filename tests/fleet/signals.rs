//! How the executable ends under signals, broken pipes and lost terminals, in every phase of a run: the exit code, what
//! is printed and where, and what the same command makes of it. `cargo test --test fleet signals -- --nocapture` prints
//! the table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use dlc_fleet::cloud::{LIST_ENGINES, SWITCH};

use crate::execution::Execution;
use crate::execution::Parent::{self, Deaf, Shell};
use crate::execution::Stream::{self, Stderr, Stdout};
use crate::stage::{LEDGER, Stage, executable, finish, rows, survived, wait_until};

/// Engines of one cell.
const ENGINES: usize = 4;

/// A part of a run, and how it is known that it has been reached.
struct Phase {
    name: &'static str,
    plan: &'static str,
    weather: &'static str,
    flags: &'static [&'static str],
    reached: fn(&Stage, &Execution) -> bool,
    /// True where nothing has been written yet, so that who ends here leaves nothing behind.
    untouched: bool,
    /// True where the tool asks on a terminal before it goes on.
    asks: bool,
}

/// Where nothing more is said.
const PHASE: Phase = Phase {
    name: "",
    plan: "plan.csv",
    weather: "",
    flags: &["--yes"],
    reached: |_, _| false,
    untouched: false,
    asks: false,
};

/// The engines of `plan.csv` in two waves, of which the first soaks.
const SOAKING_PLAN: &str = "region: ap-guangzhou\nnew_image_version_id: image-new\nwaves:\n\
     - {name: canary, soak: 4s, engines: [DataEngine-0000, DataEngine-0001]}\n\
     - {name: rest, engines: [DataEngine-0002, DataEngine-0003]}\n";

/// A further phase is a further line here.
const PHASES: [Phase; 7] = [
    Phase {
        name: "checking",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n\
                  faults:\n  - {fault: no-response, action: DescribeDataEngines, times: 1}\n",
        reached: |stage, _| stage.simulator.stats().action(LIST_ENGINES).received > 0,
        untouched: true,
        ..PHASE
    },
    Phase {
        name: "being asked",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n",
        flags: &[],
        reached: |_, run| run.printed().contains("type the number"),
        untouched: true,
        asks: true,
        ..PHASE
    },
    Phase {
        name: "waiting for the gate",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n",
        flags: &["--yes", "--rate", "1"],
        reached: |stage, _| stage.requests() > 0 && lines(stage, "sent") > stage.requests(),
        ..PHASE
    },
    Phase {
        name: "in flight, slow answers",
        weather: "latency: {median: 1s, max: 1s}\nswitching: {min: 300ms, max: 600ms}\n",
        reached: |stage, _| stage.requests() > 1 && lines(stage, "accepted") == 0,
        ..PHASE
    },
    Phase {
        name: "in flight, no answers",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n\
                  faults:\n  - {fault: no-response, times: 1, applied: never, engines: [DataEngine-0000, DataEngine-0001]}\n  \
                  - {fault: no-response, times: 1, applied: before, engines: [DataEngine-0002, DataEngine-0003]}\n",
        reached: |stage, _| stage.requests() == ENGINES,
        ..PHASE
    },
    Phase {
        name: "converging",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 2s, max: 3s}\n",
        reached: |stage, _| lines(stage, "accepted") == ENGINES,
        ..PHASE
    },
    Phase {
        name: "soaking",
        plan: "plan.yaml",
        weather: "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n",
        reached: |stage, _| lines(stage, "switched") == 2,
        ..PHASE
    },
];

/// What happens to a run.
#[derive(Clone, Copy)]
struct Event {
    name: &'static str,
    /// Readers that go away, before any signal.
    closes: &'static [Stream],
    signals: &'static [&'static str],
    /// Who started the tool on the terminal that hangs up.
    hangs_up: Option<Parent>,
    /// The exit code; zero where the run goes on to its end.
    code: i32,
}

const EVENT: Event = Event { name: "", closes: &[], signals: &[], hangs_up: None, code: 0 };

const EVENTS: [Event; 16] = [
    Event { name: "SIGINT", signals: &["INT"], code: 130, ..EVENT },
    Event { name: "SIGTERM", signals: &["TERM"], code: 143, ..EVENT },
    Event { name: "SIGHUP", signals: &["HUP"], code: 129, ..EVENT },
    Event { name: "SIGINT twice", signals: &["INT", "INT"], code: 130, ..EVENT },
    Event { name: "SIGINT four times", signals: &["INT", "INT", "INT", "INT"], code: 130, ..EVENT },
    Event { name: "SIGINT, then SIGTERM", signals: &["INT", "TERM"], code: 130, ..EVENT },
    Event { name: "SIGPIPE", signals: &["PIPE"], ..EVENT },
    Event { name: "stdout closed", closes: &[Stdout], ..EVENT },
    Event { name: "stderr closed", closes: &[Stderr], ..EVENT },
    Event { name: "both closed", closes: &[Stdout, Stderr], ..EVENT },
    Event { name: "stdout closed, SIGINT", closes: &[Stdout], signals: &["INT"], code: 130, ..EVENT },
    Event { name: "stderr closed, SIGTERM", closes: &[Stderr], signals: &["TERM"], code: 143, ..EVENT },
    Event {
        name: "both closed, SIGINT twice",
        closes: &[Stdout, Stderr],
        signals: &["INT", "INT"],
        code: 130,
        ..EVENT
    },
    Event { name: "both closed, SIGHUP", closes: &[Stdout, Stderr], signals: &["HUP"], code: 129, ..EVENT },
    Event { name: "terminal gone", hangs_up: Some(Shell), code: 129, ..EVENT },
    Event { name: "terminal gone, SIGHUP ignored", hangs_up: Some(Deaf), ..EVENT },
];

/// What became of one cell.
#[derive(Debug)]
struct Cell {
    code: Option<i32>,
    /// What was printed where somebody still listened.
    printed: String,
    /// Requests before the same command was given again.
    requests: usize,
    switched_once: usize,
    switched_more: usize,
    /// What is not as it has to be.
    wrong: Vec<String>,
}

/// Lines of a kind in the ledger.
fn lines(stage: &Stage, kind: &str) -> usize {
    stage.ledger().matches(&format!("\"kind\":\"{kind}\"")).count()
}

fn play(phase: &Phase, event: &Event) -> Cell {
    let stage = Stage::new(&rows(ENGINES), phase.weather);
    // who leaves at once does not wait for answers, however long they take
    let patience = if event.signals.len() > 1 { "60s" } else { "3s" };
    let mut flags = [phase.flags, &["--resend-after", "1s", "--request-timeout", patience]].concat();
    if !event.closes.is_empty() || event.hangs_up.is_some() {
        // so that there is something to print at every moment
        flags.push("-v");
    }
    if phase.plan == "plan.yaml" {
        std::fs::write(stage.path(phase.plan), SOAKING_PLAN).expect("a plan");
    }
    let command = stage.command_for(phase.plan, &flags);
    let mut run = match (event.hangs_up, phase.asks) {
        (Some(parent), _) => Execution::on_terminal(&stage, &command, parent),
        (None, true) => Execution::on_terminal(&stage, &command, Parent::Nobody),
        (None, false) => Execution::on_pipes(command, event.closes),
    };
    wait_until(phase.name, || (phase.reached)(&stage, &run));
    run.close();
    for (number, name) in event.signals.iter().enumerate() {
        if number > 0 && event.closes.contains(&Stderr) {
            // nobody could tell that the one before was heard
            run.signal_until_it_ends(name);
            break;
        }
        run.signal(name);
        if number + 1 < event.signals.len() && !event.closes.contains(&Stderr) {
            let heard = format!("interrupted by SIG{}", event.signals[0]);
            wait_until("the signal is heard", || run.printed().contains(&heard));
        }
    }
    if phase.asks && event.code == 0 && event.hangs_up.is_none() {
        run.type_in(&format!("{ENGINES}\n"));
    }
    let (code, printed) = if event.hangs_up.is_some() { run.hang_up() } else { run.end() };
    let mut cell = Cell { code, printed, requests: 0, switched_once: 0, switched_more: 0, wrong: Vec::new() };
    judge(&stage, phase, event, &mut cell);
    go_on(&stage, phase, &flags, &mut cell);
    cell
}

/// What has to be true when the tool has ended.
fn judge(stage: &Stage, phase: &Phase, event: &Event, cell: &mut Cell) {
    cell.requests = stage.requests();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            cell.wrong.push(what.to_owned());
        }
    };
    must(cell.code == Some(event.code), "another exit code");
    must(!cell.printed.contains("panicked"), "a panic");
    let mut verify = executable(stage.folder.path());
    verify.args(["ledger", "check", LEDGER]);
    if phase.untouched && event.code != 0 {
        let left = std::fs::read_dir(stage.folder.path()).expect("a folder").count();
        must((left, cell.requests) == (1, 0), "something was sent or written");
    } else {
        must(finish(verify).code == Some(0), "the ledger is not valid");
    }
    must(intents_cover_requests(stage), "a request without its line in the ledger");
    if event.signals.len() > 1 && phase.name.ends_with("no answers") {
        must(lines(stage, "unconfirmed") == 0, "it waited for answers");
    }
    if event.hangs_up.is_none() && event.closes.len() < 2 {
        let resume = format!("run {} --endpoint http://{}", phase.plan, stage.address);
        let expected = if event.code == 0 { "all 4 engines on target" } else { &resume };
        must(cell.printed.contains(expected), "neither result nor command is printed");
    }
}

/// True if every request that arrived was announced in the ledger before.
fn intents_cover_requests(stage: &Stage) -> bool {
    let mut announced: BTreeMap<String, usize> = BTreeMap::new();
    for line in stage.ledger().lines().filter(|line| line.contains("\"kind\":\"sent\"")) {
        let engine = line.split("\"data_engine_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        *announced.entry(engine.unwrap_or_default().to_owned()).or_default() += 1;
    }
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for arrival in stage.simulator.arrivals().iter().filter(|arrival| arrival.action == SWITCH) {
        let engine = arrival.data_engine_id.as_ref().map(ToString::to_string).unwrap_or_default();
        *arrived.entry(engine).or_default() += 1;
    }
    arrived.iter().all(|(engine, times)| announced.get(engine).is_some_and(|announced| announced >= times))
}

/// Gives the same command again, which nothing happens to.
fn go_on(stage: &Stage, phase: &Phase, flags: &[&str], cell: &mut Cell) {
    let flags = [&["--yes"], flags.strip_prefix(&["--yes"]).unwrap_or(flags)].concat();
    let ran = finish(stage.command_for(phase.plan, &flags));
    let stats = stage.simulator.stats();
    cell.switched_more = stats.applied_more_than_once.len();
    cell.switched_once = stats.applied_by_engine.len() - cell.switched_more;
    if ran.code != Some(0) || !intents_cover_requests(stage) {
        cell.wrong.push(format!("the same command ends with {:?}: {}", ran.code, ran.stderr));
    }
    if (cell.switched_once, cell.switched_more) != (ENGINES, 0) {
        cell.wrong.push("an engine is not switched exactly once".to_owned());
    }
}

/// What can happen in a phase: on the terminal that asks there are no pipes whose readers could go away.
fn cells() -> Vec<(usize, usize)> {
    let all = (0..PHASES.len()).flat_map(|phase| (0..EVENTS.len()).map(move |event| (phase, event)));
    all.filter(|(phase, event)| !PHASES[*phase].asks || EVENTS[*event].closes.is_empty())
        .filter(|(phase, event)| !PHASES[*phase].asks || EVENTS[*event].hangs_up != Some(Deaf))
        .collect()
}

#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn print(cells: &BTreeMap<(usize, usize), Cell>) {
    let mut table = String::from(
        "| phase | event | exit code | requests so far | after the same command: switched once | twice |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for ((phase, event), cell) in cells {
        let code = cell.code.map_or("none".to_owned(), |code| code.to_string());
        let (phase, event) = (PHASES[*phase].name, EVENTS[*event].name);
        let Cell { requests, switched_once, switched_more, .. } = cell;
        writeln!(table, "| {phase} | {event} | {code} | {requests} | {switched_once} | {switched_more} |")
            .expect("a write to a String");
    }
    let sum = |count: fn(&Cell) -> usize| cells.values().map(count).sum::<usize>();
    println!("{table}");
    survived(
        "SIGINT, SIGTERM, SIGHUP, SIGPIPE, several of them, closed pipes, a terminal that is gone × checking, being \
         asked, waiting for the gate, in flight, converging, soaking",
        &format!(
            "{} cells; without the documented exit code, a valid ledger, a line for each request or the command that \
             resumes: {}; after the same command {} engines switched once, {} twice",
            cells.len(),
            sum(|cell| usize::from(!cell.wrong.is_empty())),
            sum(|cell| cell.switched_once),
            sum(|cell| cell.switched_more),
        ),
    );
}

#[test]
fn whatever_happens_in_whatever_phase_the_run_ends_as_documented_and_the_same_command_resumes() {
    let (queue, done) = (Mutex::new(cells()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(place) = { queue.lock().expect("no panic").pop() } {
                    let cell = play(&PHASES[place.0], &EVENTS[place.1]);
                    done.lock().expect("no panic").insert(place, cell);
                }
            });
        }
    });
    let done = done.into_inner().expect("no panic");
    print(&done);
    let wrong = done.iter().filter(|(_, cell)| !cell.wrong.is_empty());
    let wrong: Vec<String> = wrong
        .map(|((phase, event), cell)| {
            format!("{}, {}: {:?}: {}", PHASES[*phase].name, EVENTS[*event].name, cell.wrong, cell.printed)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(done.len(), cells().len());
}
