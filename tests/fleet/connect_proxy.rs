//! A forward proxy in a process of its own, and what it noted.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A proxy that leads every CONNECT to one port of this machine; it dies with its test.
pub struct ConnectProxy {
    pub port: u16,
    child: Child,
    notes: PathBuf,
    _folder: TempDir,
}

/// True where the proxy can be run. A machine without Python passes over these tests, but for CI, which has it.
pub fn python_is_here() -> bool {
    let here = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(here || std::env::var_os("CI").is_none(), "CI needs python3");
    here
}

impl ConnectProxy {
    /// Starts it with the flags that its own text explains.
    pub fn start(target_port: u16, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = folder.path().join("notes");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/connect_proxy.py");
        let mut command = Command::new("python3");
        command.arg(script).args(flags).arg(&notes).arg(target_port.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { port, child, notes, _folder: folder }
    }

    /// As a variable names it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every CONNECT so far: host, port and the status that was answered.
    pub fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.notes).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends it at once, with every tunnel that leads through it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.kill();
    }
}
