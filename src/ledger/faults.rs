//! Disks with faults, for the tests of the executable. They are not part of a release build.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::disk::{Disk, LedgerFile};

/// Selects the disk: `not-durable`, or a fault and the write or sync from which it applies, such as `no-space@7`.
const VARIABLE: &str = "DLC_FLEET_TEST_LEDGER";

/// The file itself, or the disk that the environment variable selects.
pub(super) fn disk(file: LedgerFile, path: &Path) -> io::Result<Box<dyn Disk>> {
    let Ok(value) = std::env::var(VARIABLE) else { return Ok(Box::new(file)) };
    if value == "not-durable" {
        return Ok(Box::new(NotDurable { file, lines: Vec::new() }));
    }
    let unknown = || io::Error::other(format!("{VARIABLE}={value} is not a known fault"));
    let (fault, number) = value.split_once('@').ok_or_else(unknown)?;
    let fault = fault.parse().map_err(|()| unknown())?;
    let first_failure = number.parse().map_err(|_| unknown())?;
    Ok(Box::new(Faulty { file, path: path.to_owned(), fault, first_failure, writes: 0, syncs: 0 }))
}

/// A disk that writes nothing before the process exits: the negative control of the kill loop.
struct NotDurable {
    file: LedgerFile,
    lines: Vec<u8>,
}

impl Disk for NotDurable {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.lines.extend_from_slice(line);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NotDurable {
    fn drop(&mut self) {
        let _ = self.file.append(&self.lines);
    }
}

/// A fault of the disk.
#[derive(Clone, Copy)]
enum Fault {
    /// Half of the line is written, and then the disk is full.
    HalfALine,
    /// Every write fails with this error number.
    Write(i32),
    /// Every write succeeds, and every sync fails with this error number.
    Sync(i32),
    /// The file is removed.
    Removed,
    /// The file is removed, and another file is created at its path.
    Replaced,
    /// The writer panics, as in an internal error.
    Panic,
}

impl FromStr for Fault {
    type Err = ();

    /// The error numbers are those of Linux, from `errno(3)`.
    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "half-a-line" => Self::HalfALine,
            "no-permission" => Self::Write(13),
            "io-error" => Self::Write(5),
            "no-space" => Self::Write(28),
            "read-only" => Self::Write(30),
            "over-quota" => Self::Write(122),
            "sync-io-error" => Self::Sync(5),
            "sync-no-space" => Self::Sync(28),
            "removed" => Self::Removed,
            "replaced" => Self::Replaced,
            "panic" => Self::Panic,
            _ => return Err(()),
        })
    }
}

/// A file whose disk fails from a given write or sync on.
struct Faulty {
    file: LedgerFile,
    path: PathBuf,
    fault: Fault,
    first_failure: usize,
    writes: usize,
    syncs: usize,
}

impl Disk for Faulty {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.writes += 1;
        if self.writes >= self.first_failure {
            match self.fault {
                Fault::HalfALine => {
                    self.file.append(&line[..line.len() / 2])?;
                    return Err(io::Error::from_raw_os_error(28));
                }
                Fault::Write(number) => return Err(io::Error::from_raw_os_error(number)),
                Fault::Removed | Fault::Replaced => {
                    // the file is removed only once
                    if self.writes == self.first_failure {
                        std::fs::remove_file(&self.path)?;
                        if matches!(self.fault, Fault::Replaced) {
                            std::fs::write(&self.path, "")?;
                        }
                    }
                }
                Fault::Panic => panic!("injected panic at write {}", self.writes),
                Fault::Sync(_) => {}
            }
        }
        self.file.append(line)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        match self.fault {
            Fault::Sync(number) if self.syncs >= self.first_failure => {
                Err(io::Error::from_raw_os_error(number))
            }
            _ => self.file.sync(),
        }
    }
}
