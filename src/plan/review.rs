//! Reads the files of a plan and collects the diagnostics about them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::source::{Source, Span};
use crate::format::{for_shell, shown_path};

/// Largest size of a plan, in bytes, with the files it includes.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Maximum engines of a plan.
pub const MAX_JOBS: usize = 100_000;

/// Diagnostics that are kept; a hostile file can have millions.
const KEPT: usize = 1_000;

/// The files under review and their diagnostics so far.
#[derive(Default)]
pub(super) struct Review {
    sources: Vec<Source>,
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    /// True when a part of the plan that may hold more errors was not reviewed.
    is_cut: bool,
    /// Bytes read so far, over all files.
    bytes: u64,
    /// Engines so far, valid or not.
    engines: usize,
}

impl Review {
    pub fn report(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() < KEPT {
            self.kept.push(diagnostic);
        }
    }

    pub fn error(&mut self, span: Span, title: impl Into<String>, help: impl Into<String>) {
        self.report(Diagnostic::error(span, title, help));
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub fn into_diagnostics(self) -> Diagnostics {
        let mut kept = self.kept;
        kept.sort_by_key(|diagnostic| diagnostic.span);
        Diagnostics {
            sources: self.sources,
            kept,
            errors: self.errors,
            warnings: self.warnings,
            is_cut: self.is_cut,
        }
    }

    /// Counts one more engine. False when the plan has too many, which is reported once; the caller then stops.
    pub fn admit(&mut self, span: Span) -> bool {
        self.engines += 1;
        if self.engines == MAX_JOBS + 1 {
            let help = "split the plan into several, and run them one after the other";
            self.error(span, format!("the plan has more than {MAX_JOBS} engines"), help);
            self.is_cut = true;
        }
        !self.is_full()
    }

    /// True when the plan has too many engines.
    pub fn is_full(&self) -> bool {
        self.engines > MAX_JOBS
    }

    /// Reads a file. `None` when there is nothing to parse; a diagnostic then says why.
    pub fn open(&mut self, path: &Path) -> io::Result<Option<Source>> {
        // opening a named pipe would block until another process writes to it
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let room = MAX_BYTES.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        let size = File::open(path)?.take(room + 1).read_to_end(&mut bytes)?;
        self.bytes += size as u64;
        if size as u64 > room {
            let limit = MAX_BYTES / (1024 * 1024);
            let title = format!("the files of the plan are larger than {limit} MiB together");
            self.reject(path, title, "split the plan into several, and run them one after the other");
            return Ok(None);
        }
        Ok(self.decode(path, &bytes))
    }

    /// Reports a file as a whole, without its text.
    pub fn reject(&mut self, path: &Path, title: impl Into<String>, help: impl Into<String>) {
        let source = self.add(path, "".into());
        self.error(source.span(0..0), title, help);
    }

    /// Bytes as text. `None`, with one diagnostic, when they are not UTF-8 text: diagnostics about the content of such
    /// a file would hide the cause.
    pub fn decode(&mut self, path: &Path, bytes: &[u8]) -> Option<Source> {
        if let Some(encoding) = foreign_encoding(bytes) {
            self.reject(path, format!("the file is {encoding}, not UTF-8"), conversion(path, encoding));
            return None;
        }
        let invalid = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let source = self.add(path, String::from_utf8_lossy(bytes).as_ref().into());
        if let Some(error) = not_text(&source, path, bytes, invalid) {
            self.report(error);
            return None;
        }
        let stray = source.text.match_indices('\r').find(|(at, _)| !source.text[at + 1..].starts_with('\n'));
        if let Some((at, _)) = stray {
            let help = "end each line with LF or CRLF, for example with `mac2unix FILE`";
            self.error(Span::new(source.file, at..at + 1), "a carriage return without a line feed", help);
        }
        Some(source)
    }

    fn add(&mut self, path: &Path, text: Arc<str>) -> Source {
        let file = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let source = Source { file, shown_path: shown_path(path), text };
        self.sources.push(source.clone());
        source
    }
}

/// The first byte that no text file holds: one that is not UTF-8, at `invalid`, or a control character.
fn not_text(source: &Source, path: &Path, bytes: &[u8], invalid: Option<usize>) -> Option<Diagnostic> {
    let is_foreign = |letter: char| letter.is_ascii_control() && !matches!(letter, '\t' | '\n' | '\r');
    let control = source.text.char_indices().find(|(_, letter)| is_foreign(*letter));
    if let Some((at, letter)) = control.filter(|(at, _)| invalid.is_none_or(|invalid| *at < invalid)) {
        let span = Span::new(source.file, at..at + letter.len_utf8());
        let title = format!("the file contains the control character U+{:04X}", u32::from(letter));
        let help = "remove it, or name a text file; the rest of this file was not reviewed";
        return Some(Diagnostic::error(span, title, help));
    }
    let at = invalid?;
    let span = Span::new(source.file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
    let byte = bytes.get(at).copied().unwrap_or_default();
    Some(Diagnostic::error(span, format!("the byte 0x{byte:02X} is not UTF-8"), conversion(path, "GB18030")))
}

/// The command that converts a file to UTF-8.
fn conversion(path: &Path, encoding: &str) -> String {
    let converted = path.with_extension(match path.extension() {
        Some(extension) => format!("utf8.{}", extension.display()),
        None => "utf8".to_owned(),
    });
    let quoted = |path: &Path| for_shell(&path.to_string_lossy());
    let (from, to) = (quoted(path), quoted(&converted));
    let source = if encoding == "GB18030" { ", if it was saved by Chinese Excel" } else { "" };
    format!("convert it to UTF-8{source}: `iconv -f {encoding} -t UTF-8 {from} > {to}`")
}

/// The encoding that the first bytes of a file announce, if it is not UTF-8.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    // the mark of UTF-16 is the start of one of UTF-32
    let marks: [(&[u8], &str); 4] = [
        (&[0xff, 0xfe, 0, 0], "UTF-32"),
        (&[0, 0, 0xfe, 0xff], "UTF-32"),
        (&[0xff, 0xfe], "UTF-16"),
        (&[0xfe, 0xff], "UTF-16"),
    ];
    marks.into_iter().find(|(mark, _)| bytes.starts_with(mark)).map(|(_, encoding)| encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_byte_is_the_only_diagnostic_of_its_file() {
        let mut review = Review::default();
        assert!(review.decode(Path::new("a.csv"), b"ab\xe9c\nd\xff\0").is_none());
        let diagnostics = review.into_diagnostics();
        assert_eq!(diagnostics.kept[0].title, "the byte 0xE9 is not UTF-8");
        assert_eq!(diagnostics.sources[0].location(diagnostics.kept[0].span).column, 3);
        assert_eq!(diagnostics.errors, 1);
    }

    #[test]
    fn a_binary_file_is_one_diagnostic() {
        let mut review = Review::default();
        let bytes: Vec<u8> = b"\x7fELF\x02\0\r\n".iter().copied().cycle().take(10_000).collect();
        assert!(review.decode(Path::new("a.csv"), &bytes).is_none());
        let diagnostics = review.into_diagnostics();
        assert_eq!(diagnostics.errors, 1);
        assert_eq!(diagnostics.kept[0].title, "the file contains the control character U+007F");
    }

    #[test]
    fn the_conversion_command_names_the_file_and_quotes_it() {
        let command = "`iconv -f UTF-16 -t UTF-8 'my plan.csv' > 'my plan.utf8.csv'`";
        assert!(conversion(Path::new("my plan.csv"), "UTF-16").contains(command));
    }
}
