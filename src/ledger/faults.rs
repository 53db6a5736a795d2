//! Disks that forget or fail on purpose, for the tests of the executable. No release build has them.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::disk::{Disk, Named};

/// Names the disk to use: `forgetful`, or a fault and the write or sync it begins with, such as `no-space@7`.
const VARIABLE: &str = "DLC_FLEET_TEST_LEDGER";

/// The file itself, or what the environment asks for instead.
pub(super) fn disk(named: Named, path: &Path) -> io::Result<Box<dyn Disk>> {
    let Ok(wish) = std::env::var(VARIABLE) else { return Ok(Box::new(named)) };
    if wish == "forgetful" {
        return Ok(Box::new(Forgetful { named, lines: Vec::new() }));
    }
    let unknown = || io::Error::other(format!("{VARIABLE}={wish} names no fault"));
    let (fault, number) = wish.split_once('@').ok_or_else(unknown)?;
    let fault = fault.parse().map_err(|()| unknown())?;
    let begins_with = number.parse().map_err(|_| unknown())?;
    Ok(Box::new(Faulty { named, path: path.to_owned(), fault, begins_with, writes: 0, syncs: 0 }))
}

/// A disk that claims to be durable and is not: the negative control of the kill loop.
struct Forgetful {
    named: Named,
    lines: Vec<u8>,
}

impl Disk for Forgetful {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.lines.extend_from_slice(line);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        let _ = self.named.append(&self.lines);
    }
}

/// What goes wrong from its time on.
#[derive(Clone, Copy)]
enum Fault {
    /// Half of the line fits, and then the disk is full.
    HalfALine,
    /// Every write ends with this error number.
    Write(i32),
    /// Every write goes well, and every sync ends with this error number.
    Sync(i32),
    /// The file goes away.
    Removed,
    /// The file goes away, and another one has its name.
    Replaced,
    /// The writer panics, as it would through a defect of ours.
    Panic,
}

impl FromStr for Fault {
    type Err = ();

    /// Error numbers are Linux's, from `errno(3)`.
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

/// A file whose disk fails from some write or sync on.
struct Faulty {
    named: Named,
    path: PathBuf,
    fault: Fault,
    begins_with: usize,
    writes: usize,
    syncs: usize,
}

impl Disk for Faulty {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.writes += 1;
        if self.writes >= self.begins_with {
            match self.fault {
                Fault::HalfALine => {
                    self.named.append(&line[..line.len() / 2])?;
                    return Err(io::Error::from_raw_os_error(28));
                }
                Fault::Write(number) => return Err(io::Error::from_raw_os_error(number)),
                Fault::Removed | Fault::Replaced => {
                    // only what was ours is taken away, and only once
                    if self.writes == self.begins_with {
                        std::fs::remove_file(&self.path)?;
                        if matches!(self.fault, Fault::Replaced) {
                            std::fs::write(&self.path, "")?;
                        }
                    }
                }
                Fault::Panic => panic!("write {} was to panic", self.writes),
                Fault::Sync(_) => {}
            }
        }
        self.named.append(line)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        match self.fault {
            Fault::Sync(number) if self.syncs >= self.begins_with => {
                Err(io::Error::from_raw_os_error(number))
            }
            _ => self.named.sync(),
        }
    }
}
