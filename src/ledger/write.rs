//! Appends lines and makes them durable before anybody acts on them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::LedgerError;
use super::chain::Check;
use super::disk::{Disk, Named, private, sync_folder};
use super::entry::{Entry, Line};
use super::fold::History;
use super::lock::Lock;
use super::read::{LONGEST_LINE, read};
use super::recover::Recovered;
use crate::format::shown_path;

/// Tells the time on the wall.
type WallClock = Box<dyn Fn() -> Timestamp + Send>;

/// The one writer of a ledger.
pub struct Writer {
    disk: Box<dyn Disk>,
    /// Where the times of lines come from.
    clock: WallClock,
    path: PathBuf,
    run: String,
    history: History,
    check: Check,
    /// Number of the line that comes next.
    next: u64,
    /// Set by the first failure: what is on disk is no longer certain, so nothing more is written.
    broken: bool,
    unrecorded: Vec<Line>,
    recovered: Option<Recovered>,
    /// Held until the writer goes.
    lock: Option<Lock>,
}

impl Writer {
    /// A writer that goes on after what `memory` and `check` stand for.
    pub fn new(disk: Box<dyn Disk>, path: &Path, run: &str, history: History, check: Check) -> Self {
        Self {
            disk,
            clock: Box::new(Timestamp::now),
            path: path.to_owned(),
            run: run.to_owned(),
            next: history.lines + 1,
            history,
            check,
            broken: false,
            unrecorded: Vec::new(),
            recovered: None,
            lock: None,
        }
    }

    /// The same writer with another clock than this machine's, for runs in virtual time.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// True where appending may take time that others on the same thread would miss.
    pub(crate) fn blocks(&self) -> bool {
        self.disk.blocks()
    }

    /// Appends lines and returns once they are durable. After a failure nothing is ever written again; what the
    /// lines say is kept, see [`Writer::unrecorded`].
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let lines = self.numbered(entries);
        let written = if self.broken {
            Err(self.failed(io::Error::other("an earlier write failed")))
        } else {
            self.write(&lines).map_err(|error| self.rescued_with(error))
        };
        if written.is_err() {
            self.broken = true;
            // a request leaves only after its intent is on record, so of those there is nothing to tell
            self.unrecorded.extend(lines.into_iter().filter(Line::is_result));
        }
        written
    }

    /// Saves at once what stands in a ledger that was removed or replaced: nobody knows how this run will end.
    fn rescued_with(&mut self, error: LedgerError) -> LedgerError {
        self.recovered = self.lock.as_ref().and_then(|lock| lock.recover(&self.run));
        match (&self.recovered, error) {
            (Some(Recovered::File(copy)), LedgerError::Io { doing, path, cause }) => {
                let cause = io::Error::other(format!("{cause}; what it held is in {}", shown_path(copy)));
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
            // the fold judges our own lines before they are written, so that no run can leave a ledger
            // that the next one refuses
            self.history.take(line).map_err(|what| LedgerError::Damaged {
                path: self.path.clone(),
                line: line.seq,
                what,
            })?;
            let object = line.to_json().map_err(|error| self.failed(error.into()))?;
            let (mut sealed, check) = self.check.seal(&object);
            sealed.push('\n');
            if sealed.len() as u64 >= LONGEST_LINE {
                let cause = format!("a line of {} bytes is too long", sealed.len());
                return Err(self.failed(io::Error::other(cause)));
            }
            self.disk.append(sealed.as_bytes()).map_err(|cause| self.failed(cause))?;
            self.check = check;
        }
        self.disk.sync().map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> LedgerError {
        LedgerError::Io { doing: "write", path: self.path.clone(), cause }
    }

    /// What happened and may be missing from the ledger, because a write or sync failed.
    pub fn unrecorded(&self) -> &[Line] {
        &self.unrecorded
    }

    /// What is left of the ledger, if it was removed or replaced under us.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// What the ledger knows, this run's lines included.
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Locks a ledger, creates it where it does not exist, and sets a torn last line aside in a file next to it,
/// whose path is returned with the writer.
pub fn open(path: &Path, run: &str) -> Result<(Writer, Option<PathBuf>), LedgerError> {
    let failed = |cause| LedgerError::Io { doing: "open", path: path.to_owned(), cause };
    let (file, lock) = Lock::take(path)?;
    let loaded = read(path)?;
    let set_aside = if loaded.torn.is_empty() {
        None
    } else {
        let aside = PathBuf::from(format!("{}.torn-{run}", path.display()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut torn = options.open(&aside).map_err(failed)?;
        torn.write_all(&loaded.torn).and_then(|()| torn.sync_all()).map_err(failed)?;
        file.set_len(loaded.whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Some(aside)
    };
    sync_folder(path).map_err(failed)?;
    let named = Named::new(file, path).map_err(failed)?;
    #[cfg(debug_assertions)]
    let disk = super::faults::disk(named, path).map_err(failed)?;
    #[cfg(not(debug_assertions))]
    let disk = Box::new(named);
    let mut writer = Writer::new(disk, path, run, loaded.history, loaded.check);
    writer.lock = Some(lock);
    Ok((writer, set_aside))
}

/// An id for a new run: the time first, so that ids sort as runs began.
pub fn new_run_id() -> String {
    let begun = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{begun}-{:06x}", fastrand::u32(..1 << 24))
}

/// The time of a line: milliseconds, as it can be read back.
fn in_milliseconds(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::key;
    use super::super::{RunStarted, SCHEMA, Standing, Step};
    use super::*;

    fn opened() -> Entry {
        opened_after(None)
    }

    fn opened_after(parent: Option<&str>) -> Entry {
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

    /// A ledger of one run with `jobs` jobs, half of them answered.
    fn example(path: &Path, jobs: u32) {
        let (mut writer, _) = open(path, "run-1").expect("a new ledger");
        writer.append(vec![opened()]).expect("written");
        for number in 0..jobs {
            writer.append(vec![sent(number)]).expect("written");
            if number % 2 == 0 {
                writer.append(vec![accepted(number)]).expect("written");
            }
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_gone_on_from() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.ledger.jsonl");
        example(&path, 4);
        let (mut writer, set_aside) = open(&path, "run-2").expect("the same ledger");
        assert_eq!(set_aside, None);
        writer.append(vec![opened_after(Some("run-1")), accepted(1)]).expect("written");
        let loaded = read(&path).expect("whole");
        let standings: Vec<Standing> = loaded.history.jobs.values().map(|job| job.record.standing).collect();
        assert_eq!(standings, [Standing::Accepted, Standing::Accepted, Standing::Accepted, Standing::Sent]);
        assert_eq!(loaded.history.latest_run.map(|(run, _)| run), Some("run-2".into()));
    }

    /// Writes until its time comes, then fails for good.
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
            writer.append(vec![opened()]).expect("the first goes well");
            assert!(writer.append(vec![sent(1)]).is_err());
            assert!(writer.append(vec![accepted(1)]).is_err());
            let unrecorded: Vec<_> = writer.unrecorded().iter().map(|line| (line.seq, &line.entry)).collect();
            assert_eq!(unrecorded, [(3, &accepted(1))], "what was not acted on is not told");
        }
    }

    #[test]
    fn a_line_that_could_not_be_read_back_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        let (mut writer, _) = open(&path, "run-1").expect("new");
        writer.append(vec![opened()]).expect("written");
        let endless = Step::NotSent { message: "x".repeat(2 << 20) };
        assert!(writer.append(vec![sent(1), Entry::Job { key: key(1), step: endless }]).is_err());
        drop(writer);
        assert_eq!(read(&path).expect("whole").history.lines, 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_ledger_that_was_removed_or_replaced_under_us_is_not_written() {
        for replace in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("plan.jsonl");
            let (mut writer, _) = open(&path, "run-1").expect("new");
            writer.append(vec![opened()]).expect("written");
            std::fs::remove_file(&path).expect("removed");
            if replace {
                std::fs::write(&path, "").expect("replaced");
            }
            let error = writer.append(vec![sent(1)]).expect_err("gone").to_string();
            // saved at once, and said where
            let Some(Recovered::File(copy)) = writer.recovered() else { panic!("no copy") };
            assert!(error.contains(&format!("what it held is in {}", copy.display())), "{error}");
            assert_eq!(read(copy).expect("whole").history.lines, 1);
        }
    }

    #[test]
    fn a_ledger_that_another_program_cut_or_wrote_to_is_not_written() {
        for content in ["", "{}\n"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("plan.jsonl");
            let (mut writer, _) = open(&path, "run-1").expect("new");
            writer.append(vec![opened()]).expect("written");
            std::fs::write(&path, content).expect("cut in place");
            let error = writer.append(vec![sent(1)]).expect_err("another program").to_string();
            assert!(error.contains("another program wrote to it or cut it"), "{error}");
        }
    }

    #[test]
    fn our_own_illegal_line_is_never_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        let (mut writer, _) = open(&path, "run-1").expect("new");
        writer.append(vec![opened()]).expect("written");
        assert!(writer.append(vec![accepted(1)]).is_err(), "accepted without sent");
        assert_eq!(read(&path).expect("whole").history.lines, 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_a_ledger() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        example(&path, 1);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
