//! Appends lines to the ledger and makes them durable.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::LedgerError;
use super::chain::Check;
use super::disk::{Disk, LedgerFile, private, sync_folder};
use super::entry::{Entry, Line};
use super::fold::History;
use super::lock::Lock;
use super::read::{MAX_LINE, read};
use super::recover::Recovered;
use crate::format::shown_path;

/// Returns the current time.
type WallClock = Box<dyn Fn() -> Timestamp + Send>;

/// The only writer of a ledger.
pub struct Writer {
    disk: Box<dyn Disk>,
    /// The clock for the times of lines.
    clock: WallClock,
    path: PathBuf,
    run: String,
    history: History,
    check: Check,
    /// Number of the next line.
    next: u64,
    /// True after the first failure: the content on disk is no longer certain, so nothing more is written.
    failed: bool,
    unrecorded: Vec<Line>,
    recovered: Option<Recovered>,
    /// Held until the writer is dropped.
    lock: Option<Lock>,
}

impl Writer {
    /// A writer that continues after the lines of `history`; `check` is the check of the last one.
    pub fn new(disk: Box<dyn Disk>, path: &Path, run: &str, history: History, check: Check) -> Self {
        Self {
            disk,
            clock: Box::new(Timestamp::now),
            path: path.to_owned(),
            run: run.to_owned(),
            next: history.lines + 1,
            history,
            check,
            failed: false,
            unrecorded: Vec::new(),
            recovered: None,
            lock: None,
        }
    }

    /// The same writer with another clock, for runs in virtual time.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// True if appending may block the thread.
    pub(crate) fn blocks(&self) -> bool {
        self.disk.blocks()
    }

    /// Appends lines and returns once they are durable. After a failure nothing more is written, and the lines are kept, see
    /// [`Writer::unrecorded`].
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let lines = self.numbered(entries);
        let written = if self.failed {
            Err(self.write_error(io::Error::other("an earlier write failed")))
        } else {
            self.write(&lines).map_err(|error| self.recover_after(error))
        };
        if written.is_err() {
            self.failed = true;
            // a request is sent only after its intent is durable, so these intents were not carried out
            self.unrecorded.extend(lines.into_iter().filter(Line::is_result));
        }
        written
    }

    /// Recovers a removed or replaced ledger at once, because this run may be killed before its end.
    fn recover_after(&mut self, error: LedgerError) -> LedgerError {
        self.recovered = self.lock.as_ref().and_then(|lock| lock.recover(&self.run));
        match (&self.recovered, error) {
            (Some(Recovered::File(copy)), LedgerError::Io { doing, path, cause }) => {
                let cause =
                    io::Error::other(format!("{cause}; its content was saved to {}", shown_path(copy)));
                LedgerError::Io { doing, path, cause }
            }
            (_, error) => error,
        }
    }

    fn numbered(&mut self, entries: Vec<Entry>) -> Vec<Line> {
        let number = |entry| {
            let seq = self.next;
            self.next += 1;
            Line { seq, at: in_milliseconds((self.clock)()), run: self.run.clone(), entry }
        };
        entries.into_iter().map(number).collect()
    }

    fn write(&mut self, lines: &[Line]) -> Result<(), LedgerError> {
        for line in lines {
            // the fold checks each line before it is written, so that the next run can read the ledger
            self.history.apply(line).map_err(|what| LedgerError::Damaged {
                path: self.path.clone(),
                line: line.seq,
                what,
            })?;
            let object = line.to_json().map_err(|error| self.write_error(error.into()))?;
            let (mut sealed, check) = self.check.seal(&object);
            sealed.push('\n');
            if sealed.len() as u64 >= MAX_LINE {
                let cause = format!("a line of {} bytes is too long", sealed.len());
                return Err(self.write_error(io::Error::other(cause)));
            }
            self.disk.append(sealed.as_bytes()).map_err(|cause| self.write_error(cause))?;
            self.check = check;
        }
        self.disk.sync().map_err(|cause| self.write_error(cause))
    }

    fn write_error(&self, cause: io::Error) -> LedgerError {
        LedgerError::Io { doing: "write", path: self.path.clone(), cause }
    }

    /// Lines that may be missing from the ledger, because a write or sync failed.
    pub fn unrecorded(&self) -> &[Line] {
        &self.unrecorded
    }

    /// What could be recovered of the ledger, if it was removed or replaced during the run.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// The fold over all lines, including those of this run.
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Locks a ledger and creates it if it does not exist. A torn last line is moved to a separate file, whose path is
/// returned with the writer.
pub fn open(path: &Path, run: &str) -> Result<(Writer, Option<PathBuf>), LedgerError> {
    let failed = |cause| LedgerError::Io { doing: "open", path: path.to_owned(), cause };
    let (file, lock) = Lock::acquire(path)?;
    let loaded = read(path)?;
    let torn_copy = if loaded.torn.is_empty() {
        None
    } else {
        let copy = PathBuf::from(format!("{}.torn-{run}", path.display()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut torn = options.open(&copy).map_err(failed)?;
        torn.write_all(&loaded.torn).and_then(|()| torn.sync_all()).map_err(failed)?;
        file.set_len(loaded.whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Some(copy)
    };
    sync_folder(path).map_err(failed)?;
    let file = LedgerFile::new(file, path).map_err(failed)?;
    #[cfg(debug_assertions)]
    let disk = super::faults::disk(file, path).map_err(failed)?;
    #[cfg(not(debug_assertions))]
    let disk = Box::new(file);
    let mut writer = Writer::new(disk, path, run, loaded.history, loaded.check);
    writer.lock = Some(lock);
    Ok((writer, torn_copy))
}

/// An id for a new run. It begins with the time, so that ids sort by start.
pub fn new_run_id() -> String {
    let started = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{started}-{:06x}", fastrand::u32(..1 << 24))
}

/// Rounds a time to milliseconds, the precision of the ledger.
fn in_milliseconds(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::key;
    use super::super::{RunStarted, SCHEMA, Standing, Step};
    use super::*;

    fn run_started() -> Entry {
        run_started_after(None)
    }

    fn run_started_after(parent: Option<&str>) -> Entry {
        Entry::RunStarted(RunStarted {
            schema: SCHEMA.into(),
            parent_run: parent.map(str::to_owned),
            tool_version: "0".into(),
            plan: "plan.csv".into(),
            plan_digest: "0".into(),
            regions: vec!["ap-guangzhou".into()],
            endpoint: "simulator".into(),
            simulated: true,
            rate: 20,
        })
    }

    fn sent(number: u32) -> Entry {
        Entry::Job { key: key(number), step: Step::Sent { attempt: 1, image_before: None } }
    }

    fn accepted(number: u32) -> Entry {
        let step = Step::Accepted { request_id: Some("id".into()), latency_ms: Some(120), verified: false };
        Entry::Job { key: key(number), step }
    }

    /// A ledger of one run with `jobs` jobs, half of them accepted.
    fn example(path: &Path, jobs: u32) {
        let (mut writer, _) = open(path, "run-1").expect("a new ledger");
        writer.append(vec![run_started()]).expect("written");
        for number in 0..jobs {
            writer.append(vec![sent(number)]).expect("written");
            if number % 2 == 0 {
                writer.append(vec![accepted(number)]).expect("written");
            }
        }
    }

    #[test]
    fn a_second_writer_continues_after_the_lines_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.ledger.jsonl");
        example(&path, 4);
        let (mut writer, torn_copy) = open(&path, "run-2").expect("the same ledger");
        assert_eq!(torn_copy, None);
        writer.append(vec![run_started_after(Some("run-1")), accepted(1)]).expect("written");
        let loaded = read(&path).expect("whole");
        let standings: Vec<Standing> = loaded.history.jobs.values().map(|job| job.record.standing).collect();
        assert_eq!(standings, [Standing::Accepted, Standing::Accepted, Standing::Accepted, Standing::Sent]);
        assert_eq!(loaded.history.latest_run.map(|(run, _)| run), Some("run-2".into()));
    }

    /// Succeeds for a number of calls, then always fails.
    struct Failing {
        appends_left: usize,
        syncs_left: usize,
    }

    impl Disk for Failing {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            self.appends_left = self.appends_left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            self.syncs_left = self.syncs_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            Ok(())
        }
    }

    #[test]
    fn after_a_failed_write_or_sync_nothing_is_written_again() {
        for (appends_left, syncs_left) in [(1, 9), (9, 1)] {
            let disk = Box::new(Failing { appends_left, syncs_left });
            let path = Path::new("plan.jsonl");
            let mut writer = Writer::new(disk, path, "run-1", History::default(), Check::default());
            writer.append(vec![run_started()]).expect("the first write succeeds");
            assert!(writer.append(vec![sent(1)]).is_err());
            assert!(writer.append(vec![accepted(1)]).is_err());
            let unrecorded: Vec<_> = writer.unrecorded().iter().map(|line| (line.seq, &line.entry)).collect();
            assert_eq!(unrecorded, [(3, &accepted(1))], "an intent without a request is not kept");
        }
    }

    #[test]
    fn a_line_that_is_too_long_to_be_read_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        let (mut writer, _) = open(&path, "run-1").expect("new");
        writer.append(vec![run_started()]).expect("written");
        let too_long = Step::NotSent { message: "x".repeat(2 << 20) };
        assert!(writer.append(vec![sent(1), Entry::Job { key: key(1), step: too_long }]).is_err());
        drop(writer);
        assert_eq!(read(&path).expect("whole").history.lines, 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_removed_or_replaced_ledger_is_recovered_and_not_written() {
        for replace in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("plan.jsonl");
            let (mut writer, _) = open(&path, "run-1").expect("new");
            writer.append(vec![run_started()]).expect("written");
            std::fs::remove_file(&path).expect("removed");
            if replace {
                std::fs::write(&path, "").expect("replaced");
            }
            let error = writer.append(vec![sent(1)]).expect_err("gone").to_string();
            let Some(Recovered::File(copy)) = writer.recovered() else { panic!("no copy") };
            assert!(error.contains(&format!("its content was saved to {}", copy.display())), "{error}");
            assert_eq!(read(copy).expect("whole").history.lines, 1);
        }
    }

    #[test]
    fn a_ledger_that_another_program_changed_is_not_written() {
        for content in ["", "{}\n"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("plan.jsonl");
            let (mut writer, _) = open(&path, "run-1").expect("new");
            writer.append(vec![run_started()]).expect("written");
            std::fs::write(&path, content).expect("cut in place");
            let error = writer.append(vec![sent(1)]).expect_err("another program").to_string();
            assert!(error.contains("another program wrote to it or cut it"), "{error}");
        }
    }

    #[test]
    fn a_line_that_may_not_follow_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        let (mut writer, _) = open(&path, "run-1").expect("new");
        writer.append(vec![run_started()]).expect("written");
        assert!(writer.append(vec![accepted(1)]).is_err(), "accepted without sent");
        assert_eq!(read(&path).expect("whole").history.lines, 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_ledger_is_readable_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        example(&path, 1);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
