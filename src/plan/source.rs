//! The files of a plan: bounded reading, and what is wrong with their bytes before anybody parses them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::MAX_BYTES;
use super::finding::{Finding, Place, Review};

const BOM: char = '\u{feff}';

/// One file as text.
pub(super) struct Source {
    shown_path: String,
    text: Arc<str>,
}

/// Where a place is for people: both numbers count from one, the column in characters.
pub(super) struct Spot {
    pub line: usize,
    pub column: usize,
    /// The line in the text, without its end and without a BOM.
    pub line_span: Range<usize>,
}

impl Source {
    pub fn shown_path(&self) -> &str {
        &self.shown_path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn spot(&self, place: Place) -> Spot {
        let at = boundary(&self.text, place.start as usize);
        let mut start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if start == 0 && self.text.starts_with(BOM) {
            start = BOM.len_utf8();
        }
        let rest = &self.text[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        Spot {
            line: self.text[..at].matches('\n').count() + 1,
            column: self.text[start.min(at)..at].chars().count() + 1,
            line_span: start..start + line.trim_end_matches('\r').len(),
        }
    }

    #[cfg(test)]
    pub fn of_text(path: &str, text: &str) -> Self {
        Self { shown_path: path.to_owned(), text: text.into() }
    }
}

/// The nearest beginning of a character at or before a byte, so that no slice can fail.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A file that was read: its number in the review, its text, and where the text begins after a BOM.
#[derive(Debug)]
pub(super) struct Opened {
    pub file: u32,
    pub text: Arc<str>,
    pub begin: usize,
}

impl Opened {
    /// The text after a BOM.
    pub fn body(&self) -> &str {
        &self.text[self.begin..]
    }

    /// The place of a span that counts from the beginning of [`Self::body`].
    pub fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.file, self.begin + span.start..self.begin + span.end)
    }

    /// The first thing that no text file holds: a byte that is not UTF-8, at `broken`, or a control character.
    fn no_text(&self, bytes: &[u8], broken: Option<usize>) -> Option<Finding> {
        let strange = |letter: char| letter.is_ascii_control() && !matches!(letter, '\t' | '\n' | '\r');
        let control = self.text.char_indices().find(|(_, letter)| strange(*letter));
        if let Some((at, letter)) = control.filter(|(at, _)| broken.is_none_or(|broken| *at < broken)) {
            let place = Place::new(self.file, at..at + letter.len_utf8());
            let title = format!("the control character U+{:04X} has no place in a plan", u32::from(letter));
            let remedy = "remove it, or name a text file; nothing else in this file was reviewed";
            return Some(Finding::new(place, title, remedy));
        }
        let at = broken?;
        let place = Place::new(self.file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
        let byte = bytes.get(at).copied().unwrap_or_default();
        let title = format!("the byte 0x{byte:02X} is not UTF-8");
        let remedy = "save the file as UTF-8 (from Chinese Excel: `iconv -f GB18030 -t UTF-8 FILE`); nothing else in this file was reviewed";
        Some(Finding::new(place, title, remedy))
    }
}

impl Review {
    /// Reads a file and reports what is wrong with its bytes. `None` when there is nothing to parse; the
    /// reason is then among the findings.
    pub fn open(&mut self, path: &Path) -> io::Result<Option<Opened>> {
        // opening a named pipe would wait for somebody to write into it
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
        if let Some(encoding) = foreign_encoding(&bytes) {
            self.reject(path, format!("the file is {encoding}"), "save it as UTF-8 without BOM");
            return Ok(None);
        }
        Ok(self.take(path, &bytes))
    }

    /// Reports a file as a whole, without its text.
    pub fn reject(&mut self, path: &Path, title: impl Into<String>, remedy: impl Into<String>) {
        let opened = self.add(path, "".into());
        self.report(Finding::new(opened.place(0..0), title, remedy));
    }

    /// Turns bytes into text without losing places, and reports BOM, bad bytes and foreign line ends. `None`
    /// when the bytes are no text: one finding says so, and hundreds about what follows from it would hide it.
    pub fn take(&mut self, path: &Path, bytes: &[u8]) -> Option<Opened> {
        let broken = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let text = String::from_utf8_lossy(bytes);
        let opened = self.add(path, text.as_ref().into());
        if opened.begin > 0 {
            let place = Place::new(opened.file, 0..opened.begin);
            self.report(Finding::new(
                place,
                "the file begins with a byte order mark (BOM)",
                r"remove it with `dos2unix FILE`, or with `sed -i '1s/^\xEF\xBB\xBF//' FILE`",
            ));
        }
        if let Some(finding) = opened.no_text(bytes, broken) {
            self.report(finding);
            return None;
        }
        if let Some(at) = opened.text.find('\r') {
            let (title, remedy) = if opened.text[at..].starts_with("\r\n") {
                let remedy = r"remove the CR (Excel on Windows always writes it) with `dos2unix FILE`, or with `sed -i 's/\r$//' FILE`";
                ("lines end in CRLF", remedy)
            } else {
                (
                    "a carriage return stands alone",
                    "end lines with line feeds, for example with `mac2unix FILE`",
                )
            };
            self.report(Finding::new(Place::new(opened.file, at..at + 1), title, remedy));
        }
        Some(opened)
    }

    fn add(&mut self, path: &Path, text: Arc<str>) -> Opened {
        let file = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let begin = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
        let shown_path = crate::format::shown_path(path);
        self.sources.push(Source { shown_path, text: Arc::clone(&text) });
        Opened { file, text, begin }
    }
}

/// The encoding that a file's first bytes announce, where it is not UTF-8.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    // the mark of UTF-16 is the beginning of one of UTF-32
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

    fn spot_of(text: &str, at: usize) -> (usize, usize) {
        let spot = Source::of_text("a.csv", text).spot(Place::new(0, at..at));
        (spot.line, spot.column)
    }

    #[test]
    fn columns_count_characters_and_leave_the_bom_out() {
        assert_eq!(spot_of("ab\näöx\n", 3), (2, 1));
        assert_eq!(spot_of("ab\näöx\n", 7), (2, 3));
        assert_eq!(spot_of("\u{feff}ab", 0), (1, 1));
        assert_eq!(spot_of("\u{feff}ab", 4), (1, 2));
        assert_eq!(spot_of("", 0), (1, 1));
        assert_eq!(spot_of("ab\n", 3), (2, 1));
    }

    #[test]
    fn a_byte_that_is_not_utf_8_is_one_finding_at_its_place() {
        let mut review = Review::default();
        assert!(review.take(Path::new("a.csv"), b"ab\xe9c\nd\xff\0").is_none(), "there is no more to say");
        assert_eq!(review.sources[0].text(), "ab\u{fffd}c\nd\u{fffd}\0");
        let findings = review.into_findings();
        assert_eq!(findings.kept[0].title, "the byte 0xE9 is not UTF-8");
        assert_eq!(findings.sources[0].spot(findings.kept[0].place).column, 3);
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn a_binary_file_is_one_finding() {
        let mut review = Review::default();
        let bytes: Vec<u8> = b"\x7fELF\x02\0\r\n".iter().copied().cycle().take(10_000).collect();
        assert!(review.take(Path::new("a.csv"), &bytes).is_none());
        let findings = review.into_findings();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings.kept[0].title, "the control character U+007F has no place in a plan");
    }
}
