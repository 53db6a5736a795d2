//! Limits of memory for the real executable, and how much of it was used.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::files::{Shown, captured, plain};
use crate::stage::{Ran, wait_for};

/// Most memory that anything foreign may make the executable use, in KiB.
pub const BOUND: u64 = 256 * 1024;

/// Address space, in KiB. Far above the bound, because threads and allocators reserve what they never touch; this only
/// keeps a runaway from taking the machine with it.
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024;

/// Runs a command to its end and watches its memory.
pub fn run(command: &Command) -> Shown {
    let mut limited = limited(command);
    let child = captured(&mut limited).spawn().expect("it starts");
    let (id, done, peak) = (child.id(), AtomicBool::new(false), AtomicU64::new(0));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(high_water(id).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let ran = wait_for(child);
        done.store(true, Ordering::Relaxed);
        ran
    });
    let ran = Ran { stdout: plain(&ran.stdout), stderr: plain(&ran.stderr), ..ran };
    let peak = peak.into_inner();
    Shown { ran, peak: (peak > 0).then_some(peak) }
}

/// The same command behind a limit of the shell.
#[cfg(target_os = "linux")]
fn limited(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {ADDRESS_SPACE} && exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

#[cfg(not(target_os = "linux"))]
fn limited(command: &Command) -> Command {
    let mut same = Command::new(command.get_program());
    same.args(command.get_args()).env_clear();
    same.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        same.current_dir(folder);
    }
    same
}

/// The most memory that a process has had so far, in KiB, where the system tells.
fn high_water(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
