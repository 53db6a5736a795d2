//! The text of a plan's files, and positions in it.

use std::ops::Range;
use std::sync::Arc;

/// The mark that Excel writes at the start of a UTF-8 file.
const BOM: char = '\u{feff}';

/// A range of bytes in one of the files under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Sizes stay below 4 GiB because files are limited; a larger number would only misplace a caret.
    pub fn new(file: u32, range: Range<usize>) -> Self {
        let narrow = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { file, start: narrow(range.start), end: narrow(range.end) }
    }
}

/// One file as text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its number in the review.
    pub file: u32,
    /// The path as messages show it.
    pub shown_path: String,
    pub text: Arc<str>,
}

/// A position for people: both numbers count from one, the column in characters.
pub(super) struct Location {
    pub line: usize,
    pub column: usize,
    /// The line in the text, without its end and without a BOM.
    pub line_span: Range<usize>,
}

impl Source {
    /// The text after a BOM.
    pub fn body(&self) -> &str {
        self.text.trim_start_matches(BOM)
    }

    /// The span of a range that counts from the start of [`Self::body`].
    pub fn span(&self, range: Range<usize>) -> Span {
        let begin = self.text.len() - self.body().len();
        Span::new(self.file, begin + range.start..begin + range.end)
    }

    pub fn location(&self, span: Span) -> Location {
        let at = boundary(&self.text, span.start as usize);
        let mut start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if start == 0 {
            start = self.text.len() - self.body().len();
        }
        let rest = &self.text[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        Location {
            line: self.text[..at].matches('\n').count() + 1,
            column: self.text[start.min(at)..at].chars().count() + 1,
            line_span: start..start + line.trim_end_matches('\r').len(),
        }
    }

    #[cfg(test)]
    pub fn of_text(path: &str, text: &str) -> Self {
        Self { file: 0, shown_path: path.to_owned(), text: text.into() }
    }
}

/// The nearest start of a character at or before a byte, so that no slice can fail.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location_of(text: &str, at: usize) -> (usize, usize) {
        let location = Source::of_text("a.csv", text).location(Span::new(0, at..at));
        (location.line, location.column)
    }

    #[test]
    fn columns_count_characters_and_skip_the_bom() {
        assert_eq!(location_of("ab\näöx\n", 3), (2, 1));
        assert_eq!(location_of("ab\näöx\n", 7), (2, 3));
        assert_eq!(location_of("\u{feff}ab", 0), (1, 1));
        assert_eq!(location_of("\u{feff}ab", 4), (1, 2));
        assert_eq!(location_of("", 0), (1, 1));
        assert_eq!(location_of("ab\n", 3), (2, 1));
    }
}
