//! Reads credential files: small, UTF-8, with or without a byte order mark; and warns about their mode.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::CredentialsError;
use crate::cloud::file::read_regular;
use crate::format::{for_shell, shown_path};

/// Largest file in bytes. A profile of tccli that names every service has about 40 kB.
const MAX_BYTES: u64 = 1024 * 1024;

/// Some editors on Windows start a text with it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A credential file.
pub(super) enum Content {
    /// Its text.
    Text(Zeroizing<String>),
    /// There is no file, or none that this user may see, with the reason.
    Missing(&'static str),
}

/// Reads a whole file. A file that cannot be read or is not a text of a plausible size is an error.
pub(super) fn read(path: &Path) -> Result<Content, CredentialsError> {
    match std::fs::metadata(path).map_err(|error| error.kind()) {
        // the home directory of a service account often does not exist or belongs to another user
        Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Content::Missing("does not exist")),
        Err(ErrorKind::PermissionDenied) => {
            return Ok(Content::Missing("is in a directory that this user must not read"));
        }
        _ => {}
    }
    let bytes = read_regular(path, MAX_BYTES).map_err(|error| {
        let problem = format!("cannot be read: {error}: correct the file or its permissions");
        CredentialsError::in_file(path, problem)
    })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => {
            let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            Ok(Content::Text(Zeroizing::new(text.to_owned())))
        }
        Err(error) => {
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            let problem = format!("line {line} is not UTF-8 text: save the file as UTF-8");
            Err(CredentialsError::in_file(path, problem))
        }
    }
}

/// Warns if other users can read the file. The mode of its directory may prevent that, as it does for tccli.
pub(super) fn warn_if_exposed(path: &Path, environment: &Environment<'_>) {
    let mode = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    let Ok(real) = path.canonicalize() else { return };
    let is_open = real.parent().is_some_and(|folder| mode(folder).is_ok_and(|mode| mode & 0o011 != 0));
    match mode(&real) {
        Ok(mode) if mode & 0o077 != 0 && is_open => {
            let (file, quoted) = (shown_path(path), for_shell(&path.display().to_string()));
            environment.warn(format!(
                "other users can access {file} (mode {:04o}): run `chmod 600 {quoted}`",
                mode & 0o7777
            ));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions, set_permissions};
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
            assert!(matches!(read(&path), Ok(Content::Text(text)) if text.as_str() == "a\r\nb"), "{bytes:?}");
        }
    }

    #[test]
    fn a_missing_file_is_not_an_error() {
        let (folder, path) = holding(b"");
        for place in [folder.path().join("other"), path.join("below a file"), PathBuf::from("/dev/null/x")] {
            assert!(matches!(read(&place), Ok(Content::Missing("does not exist"))), "{}", place.display());
        }
    }

    #[test]
    fn a_directory_a_device_and_a_huge_file_are_refused_without_being_read() {
        let (folder, path) = holding(b"");
        assert!(refusal(folder.path()).contains("not a regular file"));
        assert!(refusal(Path::new("/dev/zero")).contains("not a regular file"));
        let file = File::options().write(true).open(&path).expect("a file");
        file.set_len(MAX_BYTES).expect("longer");
        assert!(read(&path).is_ok());
        file.set_len(1 << 40).expect("longer");
        assert!(refusal(&path).contains("larger than 1024 KiB"));
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused_with_its_line_and_not_shown() {
        let utf_16: Vec<u8> = "\u{feff}PRIVATE".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, line) in [(utf_16.as_slice(), "line 1 is"), (b"PRIVATE\nPRIVATE\xff\n", "line 2 is")] {
            let (_folder, path) = holding(bytes);
            let error = refusal(&path);
            assert!(error.contains(line) && !error.contains("PRIV"), "{error}");
        }
    }

    #[test]
    fn a_warning_is_given_if_the_modes_of_file_and_directory_let_other_users_in() {
        let (folder, path) = holding(b"");
        let set_mode =
            |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
        for (file, around, warned) in
            [(0o600, 0o755, false), (0o640, 0o755, true), (0o604, 0o711, true), (0o644, 0o700, false)]
        {
            set_mode(&path, file);
            set_mode(folder.path(), around);
            let environment = Environment::new(&|_| None, None, None);
            warn_if_exposed(&path, &environment);
            let warnings = environment.warnings();
            assert_eq!(warnings.len(), usize::from(warned), "{file:o} in {around:o}");
            let remedy = format!("`chmod 600 {}`", path.display());
            assert!(warnings.iter().all(|warning| warning.contains(&remedy)), "{warnings:?}");
        }
    }
}
