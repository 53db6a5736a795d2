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
    /// True when bytes were not UTF-8 and stand in the text as U+FFFD.
    pub damaged: bool,
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
        Self { shown_path: path.to_owned(), text: text.into(), damaged: false }
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
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            self.reject(path, "the file is UTF-16", "save it as UTF-8 without BOM");
            return Ok(None);
        }
        Ok(Some(self.take(path, &bytes)))
    }

    /// Reports a file as a whole, without its text.
    pub fn reject(&mut self, path: &Path, title: impl Into<String>, remedy: impl Into<String>) {
        let opened = self.add(path, "".into(), false);
        self.report(Finding::new(opened.place(0..0), title, remedy));
    }

    /// Turns bytes into text without losing places, and reports BOM, bad bytes and foreign line ends.
    pub fn take(&mut self, path: &Path, bytes: &[u8]) -> Opened {
        let broken = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let text = String::from_utf8_lossy(bytes);
        let opened = self.add(path, text.as_ref().into(), broken.is_some());
        if opened.begin > 0 {
            let place = Place::new(opened.file, 0..opened.begin);
            self.report(Finding::new(
                place,
                "the file begins with a byte order mark (BOM)",
                "save it as UTF-8 without BOM (in Excel, \"CSV\" instead of \"CSV UTF-8\")",
            ));
        }
        if let Some(at) = broken {
            let place = Place::new(opened.file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
            let byte = bytes.get(at).copied().unwrap_or_default();
            let title = format!("the byte 0x{byte:02X} is not UTF-8");
            self.report(Finding::new(place, title, "save the file as UTF-8"));
        }
        if let Some(at) = opened.text.find('\r') {
            let pair = opened.text[at..].starts_with("\r\n");
            let title = if pair { "lines end in CRLF" } else { "a carriage return stands alone" };
            let remedy = "save the file with line feeds only, for example with `dos2unix`";
            self.report(Finding::new(Place::new(opened.file, at..at + 1), title, remedy));
        }
        opened
    }

    fn add(&mut self, path: &Path, text: Arc<str>, damaged: bool) -> Opened {
        let file = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let begin = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
        let shown_path = path.display().to_string().replace(char::is_control, "�");
        self.sources.push(Source { shown_path, text: Arc::clone(&text), damaged });
        Opened { file, text, begin }
    }
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
    fn bytes_that_are_not_utf_8_keep_the_places_behind_them() {
        let mut review = Review::default();
        let opened = review.take(Path::new("a.csv"), b"ab\xe9c\nd");
        assert_eq!(&*opened.text, "ab\u{fffd}c\nd");
        let findings = review.into_findings();
        assert_eq!(findings.kept[0].title, "the byte 0xE9 is not UTF-8");
        assert_eq!(findings.sources[0].spot(findings.kept[0].place).column, 3);
    }
}
