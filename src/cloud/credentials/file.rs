//! Reads files that people and other tools wrote: small ones, as text, whatever an editor did to them.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::{CredentialsError, Environment};
use crate::format::{for_shell, shown_path};

/// Largest file that is read, in bytes. A profile of tccli names every service there is, in some 40 kB.
const LARGEST: u64 = 1024 * 1024;

/// What some editors on Windows begin a text with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What there is where a file was looked for.
pub(super) enum Looked {
    /// The file.
    Text(Zeroizing<String>),
    /// Nothing that can be reached, for this reason.
    Nothing(&'static str),
}

/// Reads a file as a whole. What is there and is no text of a sensible size is an error.
pub(super) fn read(path: &Path) -> Result<Looked, CredentialsError> {
    let there = match std::fs::metadata(path) {
        Ok(there) => there,
        Err(error) => return absent(path, &error),
    };
    if there.is_dir() {
        return Err(wrong(path, "is a folder, and a file was expected: move it away"));
    }
    if !there.is_file() {
        return Err(wrong(path, "is no regular file: put one in its place"));
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(there.len().min(LARGEST)).unwrap_or(0) + 1));
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(path, format!("cannot be read: {error}: give this user leave to read it")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(path, "is larger than 1 MiB: put the right file in its place"));
    }
    Ok(Looked::Text(text(path, &bytes)?))
}

/// A file that cannot be seen is none: homes of service accounts often do not exist, or are closed to them.
fn absent(path: &Path, error: &io::Error) -> Result<Looked, CredentialsError> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Looked::Nothing("not there")),
        ErrorKind::PermissionDenied => Ok(Looked::Nothing("in a folder that is closed to this user")),
        _ => Err(wrong(path, format!("cannot be looked at: {error}: put a file in its place"))),
    }
}

fn text(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, CredentialsError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).to_owned())),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            Err(wrong(path, format!("line {line}: this is not UTF-8 text: save the file as UTF-8")))
        }
    }
}

/// Warns where the mode of a file lets others in, unless its folder keeps them out, as tccli's does.
#[cfg(unix)]
pub(super) fn warn_if_exposed(path: &Path, environment: &Environment<'_>) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).map(|there| there.permissions().mode());
    let Ok(real) = path.canonicalize() else { return };
    let folder_is_open = real.parent().is_some_and(|folder| mode(folder).is_ok_and(|mode| mode & 0o011 != 0));
    match mode(&real) {
        Ok(mode) if mode & 0o077 != 0 && folder_is_open => {
            let (file, typed) = (shown_path(path), for_shell(&path.display().to_string()));
            environment.warn(format!(
                "the mode of {file} ({:04o}) lets others read or change it: `chmod 600 {typed}`",
                mode & 0o7777
            ));
        }
        _ => {}
    }
}

#[cfg(not(unix))]
pub(super) fn warn_if_exposed(_path: &Path, _surroundings: &Environment<'_>) {}

/// An error that a file is at fault for.
pub(super) fn wrong(path: &Path, what: impl Display) -> CredentialsError {
    CredentialsError::Source { what: format!("{}: {what}", shown_path(path)), may_pass: false }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn holding(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).expect("written");
        (folder, path)
    }

    fn refusal(path: &Path) -> String {
        let error = read(path).err().expect("refused").to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        error
    }

    #[test]
    fn a_text_is_read_without_its_byte_order_mark() {
        for bytes in ["a\r\nb", "\u{feff}a\r\nb"] {
            let (_folder, path) = holding(bytes.as_bytes());
            assert!(matches!(read(&path), Ok(Looked::Text(text)) if text.as_str() == "a\r\nb"), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let (folder, path) = holding(b"");
        for place in [folder.path().join("other"), path.join("below a file"), PathBuf::from("/dev/null/x")] {
            assert!(matches!(read(&place), Ok(Looked::Nothing("not there"))), "{}", place.display());
        }
    }

    #[test]
    fn a_folder_a_device_and_a_huge_file_are_refused_without_being_read() {
        let (folder, path) = holding(b"");
        assert!(refusal(folder.path()).contains("is a folder"));
        if cfg!(unix) {
            assert!(refusal(Path::new("/dev/zero")).contains("no regular file"));
        }
        let file = File::options().write(true).open(&path).expect("a file");
        file.set_len(LARGEST).expect("longer");
        assert!(read(&path).is_ok());
        file.set_len(1 << 40).expect("longer");
        assert!(refusal(&path).contains("larger than 1 MiB"));
    }

    #[test]
    fn what_is_not_utf_8_is_refused_by_line_and_not_shown() {
        let utf_16: Vec<u8> = "\u{feff}PRIVATE".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, line) in [(utf_16.as_slice(), "line 1:"), (b"PRIVATE\nPRIVATE\xff\n", "line 2:")] {
            let (_folder, path) = holding(bytes);
            let error = refusal(&path);
            assert!(error.contains(line) && !error.contains("PRIV"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_are_warned_of_where_mode_and_folder_let_them_in() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, path) = holding(b"");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        for (file, around, warned) in
            [(0o600, 0o755, false), (0o640, 0o755, true), (0o604, 0o711, true), (0o644, 0o700, false)]
        {
            mode(&path, file);
            mode(folder.path(), around);
            let environment = Environment::new(&|_| None, None, None);
            warn_if_exposed(&path, &environment);
            let warnings = environment.warnings();
            assert_eq!(warnings.len(), usize::from(warned), "{file:o} in {around:o}");
            let remedy = format!("`chmod 600 {}`", path.display());
            assert!(warnings.iter().all(|warning| warning.contains(&remedy)), "{warnings:?}");
        }
    }
}
