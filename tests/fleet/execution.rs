//! One execution of the tool to which something happens: signals, readers that go away, a terminal that hangs up.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stage::{LEDGER, PATIENCE, Stage, signal, wait_for, wait_until};

/// What the tool prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Who started the tool on its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Nobody between: the tool leads the session of the terminal.
    Nobody,
    /// A shell that hands on a hang-up to what it started, as those do that people type into.
    Shell,
    /// A shell with jobs: `fg` follows as soon as the test says so.
    Jobs,
    /// A shell that was told to ignore hang-ups, and so is the tool, as by `nohup`.
    Deaf,
}

impl Parent {
    fn script(self) -> &'static str {
        match self {
            Self::Nobody => "exec \"$@\"",
            // a command in the background would have its stdin taken away
            Self::Shell => {
                "trap 'kill -HUP $child; hung=1' HUP; exec 3<&0; \"$@\" <&3 3<&- & child=$!
                 wait $child; code=$?; if [ $hung ]; then wait $child; code=$?; fi
                 echo $code > $OUTPUTS/writing; mv $OUTPUTS/writing $OUTPUTS/code"
            }
            Self::Jobs => {
                "set -m; \"$@\"; : > $OUTPUTS/stopped
                 while [ ! -e $OUTPUTS/again ]; do sleep 0.05; done; fg > /dev/null
                 echo $? > $OUTPUTS/writing; mv $OUTPUTS/writing $OUTPUTS/code"
            }
            Self::Deaf => {
                "trap '' HUP; \"$@\"
                 echo $? > $OUTPUTS/writing; mv $OUTPUTS/writing $OUTPUTS/code"
            }
        }
    }
}

/// The tool under way.
pub struct Execution {
    child: Child,
    /// True where a shell sees its exit code.
    seen: bool,
    /// The card beside the ledger names the process where it is not our own child.
    card: Option<PathBuf>,
    outputs: TempDir,
}

impl Execution {
    /// Starts it with readers that go away when they are told to; what the others get can be looked at.
    pub fn on_pipes(mut command: Command, closes: &[Stream]) -> Self {
        let outputs = tempfile::tempdir().expect("a folder");
        let file = |stream| File::create(outputs.path().join(format!("{stream:?}"))).expect("a file").into();
        let place = |stream| if closes.contains(&stream) { Stdio::piped() } else { file(stream) };
        command.stdout(place(Stream::Stdout)).stderr(place(Stream::Stderr));
        Self { child: command.spawn().expect("it starts"), seen: false, card: None, outputs }
    }

    /// Starts it on a terminal of its own.
    pub fn on_terminal(stage: &Stage, command: &Command, parent: Parent) -> Self {
        let outputs = tempfile::tempdir().expect("a folder");
        let shell = outputs.path().join("start.sh");
        std::fs::write(&shell, parent.script()).expect("written");
        let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().expect("text"));
        let words: Vec<String> =
            std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
        let line = format!("exec sh {} {}", quoted(shell.as_os_str()), words.join(" "));
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).current_dir(stage.folder.path());
        script.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("OUTPUTS", outputs.path());
        script.stdin(Stdio::piped()).stderr(Stdio::null());
        script.stdout(File::create(outputs.path().join("terminal")).expect("a file"));
        let card = Some(stage.path(&format!("{LEDGER}.lock")));
        let child = script.spawn().expect("script, which util-linux has, starts");
        Self { child, seen: parent != Parent::Nobody, card, outputs }
    }

    /// What was printed so far to those who still listen.
    pub fn printed(&self) -> String {
        printed(self.outputs.path())
    }

    /// The process of the tool itself; none once it is gone.
    pub fn process(&self) -> Option<u32> {
        let Some(card) = &self.card else { return Some(self.child.id()) };
        let card: serde_json::Value = serde_json::from_slice(&std::fs::read(card).ok()?).ok()?;
        card["pid"].as_u64()?.try_into().ok()
    }

    /// Sends a signal to the tool, which may have ended by now.
    pub fn signal(&self, name: &str) {
        let Some(process) = self.process() else { return };
        let kill = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).output();
        kill.expect("kill");
    }

    /// Sends a signal again and again until the tool has ended: of two that arrive before the first is looked at, the
    /// system makes one.
    pub fn signal_until_it_ends(&mut self, name: &str) {
        let begun = Instant::now();
        while self.child.try_wait().expect("our own child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "SIG{name} was sent in vain");
            self.signal(name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types at the terminal.
    pub fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().expect("a terminal").write_all(text.as_bytes()).expect("typed");
    }

    /// Lets the readers go away that were announced to.
    pub fn close(&mut self) {
        self.child.stdout.take();
        self.child.stderr.take();
    }

    /// True once the shell has got its terminal back because the tool was stopped.
    pub fn is_stopped(&self) -> bool {
        self.outputs.path().join("stopped").exists()
    }

    /// Has the shell say `fg`.
    pub fn go_on(&self) {
        File::create(self.outputs.path().join("again")).expect("a file");
    }

    /// Takes the terminal away, and waits for the end of the tool. Its exit code is known where a shell has seen it.
    pub fn hang_up(self) -> (Option<i32>, String) {
        let process = self.process().expect("the tool holds its ledger");
        signal(self.child.id(), "KILL");
        wait_for(self.child);
        let gone = || {
            std::fs::read_to_string(format!("/proc/{process}/stat"))
                .map_or(true, |stat| stat.contains(") Z "))
        };
        wait_until("the tool ends without its terminal", gone);
        let code = self.outputs.path().join("code");
        if self.seen {
            wait_until("its shell ends", || code.exists());
        }
        (
            std::fs::read_to_string(code).ok().and_then(|code| code.trim().parse().ok()),
            printed(self.outputs.path()),
        )
    }

    /// Waits for its end; returns the exit code and what was printed to those who listened until then.
    pub fn end(self) -> (Option<i32>, String) {
        let code = wait_for(self.child).code;
        (code, printed(self.outputs.path()))
    }
}

fn printed(outputs: &Path) -> String {
    let read = |name: &str| std::fs::read(outputs.join(name)).unwrap_or_default();
    ["Stdout", "Stderr", "terminal"].map(|name| String::from_utf8_lossy(&read(name)).into_owned()).concat()
}
