//! Runs the real executable in tests: a simulator over HTTP, a directory for plan and ledger, and commands.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use dlc_fleet::cloud::{EngineState, SWITCH};
use dlc_fleet::job::{DataEngineId, ImageVersionId, JobKey, Region};
use dlc_fleet::simulator::{Engine, Keys, Scenario, Simulator, World, bind, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::SignalKind;

/// Part of every key. No command may print or write it.
pub const CANARY: &str = "cAnArY";
pub const SECRET_ID: &str = "AKIDcAnArYcAnArY";
pub const SECRET_KEY: &str = "cAnArY-secret-key";
pub const TOKEN: &str = "cAnArY-token";

/// Length of the pieces of a secret that are searched for, so that truncated secrets are found as well.
const PIECE: usize = 16;

/// The simulators of the running tests. The output of every command is searched for all of their secrets.
static PLAYING: Mutex<BTreeMap<SocketAddr, Simulator>> = Mutex::new(BTreeMap::new());

/// The ledger beside `plan.csv`; a service on this machine is a simulation and has its own ledger.
pub const LEDGER: &str = "plan.simulated.ledger.jsonl";

/// Longest time that any run of a test may take before it counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A plan on disk, and a simulator that holds its engines.
pub struct Stage {
    pub simulator: Simulator,
    pub address: SocketAddr,
    pub folder: TempDir,
    region: &'static str,
    _runtime: Runtime,
}

/// The result of one run of the executable.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}{}", self.stdout, self.stderr))
    }
}

impl Ran {
    /// Text for a failed assertion: the outcomes in the JSON document, or else stdout, and stderr.
    pub fn told(&self) -> String {
        let Ran { code, stdout, stderr } = self;
        match serde_json::from_str::<Value>(stdout) {
            Ok(document) if document["jobs"][0]["outcome"].is_string() => {
                format!("exit {code:?}, {:?}\n{stderr}", self.ended())
            }
            _ => format!("exit {code:?}\n{stdout}{stderr}"),
        }
    }

    /// Outcome and reason code (or an empty string) of each row of the JSON document.
    pub fn ended(&self) -> BTreeMap<String, (String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let jobs = self.json()["jobs"].as_array().cloned().unwrap_or_default();
        let ended = |job: &Value| {
            (text(&job["data_engine_id"]), (text(&job["outcome"]), text(&job["reason"]["code"])))
        };
        jobs.iter().map(ended).collect()
    }

    /// How many rows had this outcome.
    pub fn count(&self, outcome: &str) -> usize {
        self.ended().values().filter(|(ended, _)| ended == outcome).count()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Row `number` of a plan: engine and target image.
pub type Row = (String, String);

/// Engine `number` of a plan.
pub fn engine(number: usize) -> DataEngineId {
    DataEngineId::new(format!("DataEngine-{number:04}"))
}

/// `count` engines, all to the same image.
pub fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|number| (engine(number).to_string(), "image-new".to_owned())).collect()
}

impl Stage {
    /// The region of engines, unless a test chooses another one.
    const REGION: &'static str = "ap-guangzhou";

    /// Writes the rows as `plan.csv`, and serves a world with their engines under a scenario.
    pub fn new(rows: &[Row], scenario: &str) -> Self {
        Self::with(Self::REGION, rows, scenario, Some(TOKEN))
    }

    /// The same, with keys that need another token or none.
    pub fn with_token(rows: &[Row], scenario: &str, token: Option<&str>) -> Self {
        Self::with(Self::REGION, rows, scenario, token)
    }

    /// The same in another region.
    pub fn in_region(name: &'static str, rows: &[Row], scenario: &str) -> Self {
        Self::with(name, rows, scenario, Some(TOKEN))
    }

    fn with(name: &'static str, rows: &[Row], scenario: &str, token: Option<&str>) -> Self {
        let scenario = Scenario::parse(scenario, "test").expect("a scenario");
        let region = Region::new(name);
        let key = |(engine, image): &Row| JobKey {
            region: region.clone(),
            data_engine_id: DataEngineId::new(engine.clone()),
            new_image_version_id: ImageVersionId::new(image.clone()),
        };
        let held: Vec<(JobKey, bool)> = rows.iter().map(|row| (key(row), false)).collect();
        let simulator = Simulator::new(World::holding(scenario.seed, &held), scenario);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let keys = Keys::new(SECRET_ID, SECRET_KEY, token.map(str::to_owned));
        runtime.spawn(serve(listener, simulator.clone(), keys));
        playing(|stages| stages.insert(address, simulator.clone()));
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Self { simulator, address, folder, region: name, _runtime: runtime };
        stage.write_plan(rows);
        stage
    }

    pub fn write_plan(&self, rows: &[Row]) {
        let mut text = String::from("data_engine_id,new_image_version_id,region\n");
        for (engine, image) in rows {
            writeln!(text, "{engine},{image},{}", self.region).expect("a write to a String");
        }
        std::fs::write(self.path("plan.csv"), text).expect("a plan");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `dlc-fleet run plan.csv` against the simulator, with short waits.
    pub fn command(&self, flags: &[&str]) -> Command {
        self.command_at(&format!("http://{}", self.address), "plan.csv", flags)
    }

    /// The same for another plan.
    pub fn command_for(&self, plan: &str, flags: &[&str]) -> Command {
        self.command_at(&format!("http://{}", self.address), plan, flags)
    }

    /// The same against another endpoint.
    pub fn command_at(&self, endpoint: &str, plan: &str, flags: &[&str]) -> Command {
        let mut command = executable(self.folder.path());
        command.args(["run", plan, "--endpoint", endpoint]);
        if !flags.contains(&"--no-wait") && !flags.contains(&"--no-verify") && !flags.contains(&"--min-ready")
        {
            command.args(["--min-ready", "400ms", "--wait-timeout", "60s"]);
        }
        command.args(flags);
        command
    }

    /// Runs to the end, without confirmation.
    pub fn run(&self, flags: &[&str]) -> Ran {
        let flags: Vec<&str> = ["--yes"].iter().chain(flags).copied().collect();
        finish(self.command(&flags))
    }

    /// The same, with a JSON document on stdout.
    pub fn run_json(&self, flags: &[&str]) -> Ran {
        self.run(&[flags, &["--output", "json"]].concat())
    }

    /// The region of its engines.
    pub fn region(&self) -> Region {
        Region::new(self.region)
    }

    /// An engine as it is now.
    pub fn engine(&self, number: usize) -> Engine {
        let engine =
            self.simulator.with_world(|world| world.engine(&self.region(), &engine(number)).cloned());
        engine.expect("an engine of the plan")
    }

    /// Switches an engine to an image version as another client does.
    pub fn move_engine(&self, number: usize, image: &ImageVersionId) {
        self.simulator.with_world(|world| {
            assert!(world.set_image(&self.region(), &engine(number), Some(image.clone())));
            assert!(world.set_state(&self.region(), &engine(number), EngineState::RUNNING));
        });
    }

    pub fn ledger(&self) -> String {
        std::fs::read_to_string(self.path(LEDGER)).unwrap_or_default()
    }

    pub fn requests(&self) -> usize {
        self.simulator.stats().action(SWITCH).received
    }
}

/// Checks that no file beside the plan contains a key.
impl Drop for Stage {
    fn drop(&mut self) {
        playing(|stages| stages.remove(&self.address));
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()).filter(|path| path.is_file()) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            let found = shows_a_key(&text, &self.simulator.secrets());
            assert!(!found || std::thread::panicking(), "a key is in {}", path.display());
        }
    }
}

fn playing<T>(act: impl FnOnce(&mut BTreeMap<SocketAddr, Simulator>) -> T) -> T {
    act(&mut PLAYING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// True if a text contains a key of a stage or a piece of a secret that a simulator issued.
fn shows_a_key(text: &str, handed_out: &[String]) -> bool {
    text.contains(CANARY) || handed_out.iter().any(|secret| text.contains(&secret[..PIECE]))
}

/// The executable, with test keys and no other variables of the environment.
pub fn executable(folder: &Path) -> Command {
    restore_signals();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc-fleet"));
    // the home directory of the developer may contain profiles
    command.current_dir(folder).env_clear().env("HOME", folder);
    command.env("TENCENTCLOUD_SECRET_ID", SECRET_ID).env("TENCENTCLOUD_SECRET_KEY", SECRET_KEY);
    command.env("TENCENTCLOUD_TOKEN", TOKEN);
    // no server listens there: no test sends requests to another machine
    command.env("DLC_FLEET_METADATA_ENDPOINT", "http://127.0.0.1:1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Restores the default of the signals that background jobs of a shell ignore (`nohup`, `&`): a child process inherits
/// ignored signals, but not handlers.
fn restore_signals() {
    static ONCE: Once = Once::new();
    // a separate thread, because a runtime must not be dropped inside another one
    ONCE.call_once(|| std::thread::spawn(listen_for_signals).join().expect("signals can be listened for"));
}

fn listen_for_signals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()] {
        let _listening = tokio::signal::unix::signal(kind).expect("a signal can be listened for");
    }
}

/// Removes the keys from the environment of a command.
pub fn without_keys(command: &mut Command) {
    for variable in ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"] {
        command.env_remove(variable);
    }
}

/// Runs a command to its end. A command that hangs is killed, and the test fails.
pub fn finish(mut command: Command) -> Ran {
    wait_for(command.spawn().expect("the executable starts"))
}

/// Waits for the end of a child.
pub fn wait_for(child: Child) -> Ran {
    let id = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        signal(id, "KILL");
        panic!("the executable hung for {PATIENCE:?}");
    };
    let _ = waiter.join();
    let ran: Ran = output.expect("output").into();
    let handed_out: Vec<String> = playing(|stages| stages.values().flat_map(Simulator::secrets).collect());
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!shows_a_key(text, &handed_out), "a key was printed: {text}");
    }
    ran
}

/// Prints the counts of a test as a table row; `.ci/survives` collects the rows.
#[expect(clippy::print_stdout, reason = "the counts are what such a test is run for")]
pub fn survived(what: &str, counted: &str) {
    println!("survived: {what} | {counted}");
}

/// Checks a few cases at a time, because they mostly wait.
pub fn side_by_side<C: Copy + Sync>(cases: &[C], check: impl Fn(C) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(*case);
                }
            });
        }
    });
}

/// Sends a signal, by name.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.expect("kill").success(), "kill -{name} {process}");
}

/// Waits until a condition holds; fails after `PATIENCE`.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "timed out while waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
