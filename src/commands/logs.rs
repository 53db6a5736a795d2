//! Sets up logging: to stderr with `-v` or `RUST_LOG`, and to a file with `--log-file`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, Command, Everywhere};
use crate::error::Failure;
use crate::exit::Exit;
use crate::format;
use crate::ledger;
use crate::report::{Terminal, log_writer};

/// The log file has everything of dlc-fleet, and warnings of its libraries.
const FILE_FILTER: &str = "warn,dlc_fleet=trace";

/// Rejects a log file that is the plan or the ledger: appending to it would damage it.
pub(super) fn check(cli: &Cli) -> Result<(), Failure> {
    let Some(log_file) = &cli.everywhere.log_file else { return Ok(()) };
    let others: Vec<PathBuf> = match &cli.command {
        Command::Run(args) => [Some(args.plan.clone()), args.ledger.clone()]
            .into_iter()
            .flatten()
            .chain(args.target.simulate.iter().map(PathBuf::from))
            .chain(["ledger.jsonl", "simulated.ledger.jsonl"].map(|ending| args.plan.with_extension(ending)))
            .collect(),
        Command::Check(args) => vec![args.plan.clone()],
        Command::Whoami(_) | Command::ExitCodes => Vec::new(),
        Command::Ledger(args) => vec![args.file().to_owned()],
        Command::Simulate(args) => args.plan.iter().chain(&args.scenario).cloned().collect(),
    };
    let names = |other: &Path| [real(other), real(&PathBuf::from(format!("{}.lock", other.display())))];
    if others.iter().any(|other| names(other).contains(&real(log_file))) {
        let what = format!(
            "--log-file {}: the file has another use in this command; choose another path",
            log_file.display()
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    Ok(())
}

/// The canonical path of a file that may not exist yet.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(whole).unwrap_or_else(|| path.to_owned())
}

/// Starts logging. Lines to stderr are printed above the progress bars.
pub(super) fn start(flags: &Everywhere, terminal: &Terminal) -> Result<(), Failure> {
    let spoken = match flags.verbose {
        0 => "error",
        1 => "warn,dlc_fleet=info",
        2 => "warn,dlc_fleet=debug",
        _ => "debug,dlc_fleet=trace",
    };
    let filter = match super::variables::env_var("RUST_LOG").filter(|filter| !filter.is_empty()) {
        Some(filter) => filter.parse::<EnvFilter>().map_err(|error| {
            Failure::new(Exit::Usage, format!("RUST_LOG: {error}: write a filter such as dlc_fleet=debug"))
        })?,
        None => EnvFilter::new(spoken),
    };
    let to_stderr =
        fmt::layer().with_writer(log_writer(terminal)).with_ansi(terminal.can_draw()).with_filter(filter);
    let to_file = match &flags.log_file {
        None => None,
        Some(path) => {
            let file = LogFile::begin(path, terminal).map_err(|error| {
                let what = format!("--log-file {}: {error}; choose another path", path.display());
                Failure::new(Exit::Usage, what)
            })?;
            let layer = fmt::layer().with_writer(file).with_ansi(false);
            Some(layer.with_filter(EnvFilter::new(FILE_FILTER)))
        }
    };
    // only a second call in one process fails here; the first one stays in force
    let _ = tracing_subscriber::registry().with(to_stderr).with(to_file).try_init();
    Ok(())
}

/// A file that log lines are appended to. If a write fails, a note is printed and the run continues without the log.
struct LogFile {
    path: PathBuf,
    file: Mutex<Option<File>>,
    terminal: Terminal,
}

impl LogFile {
    /// Opens the file and writes its first line, so that a path that is not writable fails before anything is sent.
    fn begin(path: &Path, terminal: &Terminal) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        // a log names engines, as the ledger does
        ledger::private(&mut options);
        let mut file = options.open(path)?;
        let (now, version, process) = (Timestamp::now(), env!("CARGO_PKG_VERSION"), std::process::id());
        file.write_all(format!("{now} dlc-fleet {version} started as process {process}\n").as_bytes())?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(Some(file)), terminal: terminal.clone() })
    }

    fn append(&self, line: &[u8]) {
        let failed = {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = file.as_mut().and_then(|file| file.write_all(line).err());
            if failed.is_some() {
                *file = None;
            }
            failed
        };
        if let Some(error) = failed {
            let path = format::shown_path(&self.path);
            self.terminal.print(&format!("note: --log-file {path}: {error}; logging to this file stops\n"));
        }
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a LogFile;

    fn make_writer(&'a self) -> &'a LogFile {
        self
    }
}

impl Write for &LogFile {
    /// Never fails: tracing would keep the error to itself.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
