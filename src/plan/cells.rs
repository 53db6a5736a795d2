//! Where the fields of a CSV record are.
//!
//! The `csv` crate tells where a record begins but not where its fields are, so this walk over the same bytes
//! finds the places for carets. A property keeps the two in agreement.

use std::ops::Range;

/// One field as it is written, quotes included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub span: Range<usize>,
    /// A quote was opened and never closed.
    pub is_open: bool,
    /// Something stands between the closing quote and the next separator.
    pub has_tail: bool,
}

/// Where the fields of one record are, at most `limit` of them.
pub(super) fn cells(text: &str, record: &Range<usize>, separator: u8, limit: usize) -> Vec<Cell> {
    let bytes = &text.as_bytes()[..record.end];
    let mut cells = vec![cell(bytes, record.start, separator)];
    while let Some(last) = cells.last()
        && bytes.get(last.span.end) == Some(&separator)
        && cells.len() < limit
    {
        cells.push(cell(bytes, last.span.end + 1, separator));
    }
    cells
}

/// The field that begins at a byte. Follows the rules of the `csv` crate: a quote means something only as the
/// first byte, and twice inside quotes.
fn cell(bytes: &[u8], start: usize, separator: u8) -> Cell {
    let (mut is_open, mut has_tail) = (bytes.get(start) == Some(&b'"'), false);
    let is_quoted = is_open;
    let mut at = start + usize::from(is_quoted);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' if is_open && bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' if is_open => is_open = false,
            _ if is_open => {}
            byte if *byte == separator || matches!(byte, b'\r' | b'\n') => break,
            _ => has_tail = is_quoted,
        }
        at += 1;
    }
    Cell { span: start..at, is_open, has_tail }
}

/// Where a record goes beyond a number of fields, in any record of a text. Reading such a record would take
/// many times the memory that its bytes take.
pub(super) fn first_beyond(text: &str, separator: u8, limit: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut fields) = (0, 1);
    while at < bytes.len() {
        let end = cell(bytes, at, separator).span.end;
        fields = if bytes.get(end) == Some(&separator) { fields + 1 } else { 1 };
        if fields > limit {
            return Some(end);
        }
        at = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walk(text: &str) -> Vec<Cell> {
        cells(text, &(0..text.len()), b',', usize::MAX)
    }

    fn spans(text: &str) -> Vec<&str> {
        walk(text).into_iter().map(|cell| &text[cell.span]).collect()
    }

    #[test]
    fn fields_keep_their_quotes_and_the_commas_inside() {
        assert_eq!(spans("a,,\"b,\"\"c\",d"), ["a", "", "\"b,\"\"c\"", "d"]);
        assert_eq!(spans(""), [""]);
        assert_eq!(spans("a,"), ["a", ""]);
    }

    #[test]
    fn a_quote_that_stays_open_and_text_after_a_closed_one_are_told() {
        assert!(walk("a,\"b,c")[1].is_open);
        assert!(walk("\"a\"b,c")[0].has_tail);
        assert!(walk("a\"b\",c").iter().all(|cell| !cell.is_open && !cell.has_tail));
    }

    #[test]
    fn the_first_field_too_many_is_found_in_any_record() {
        assert_eq!(first_beyond("a,b,c\nd,\"e,\n,\",f\n", b',', 3), None);
        assert_eq!(first_beyond("a,b,c\nd,\"e,\n,\",f,g\n", b',', 3), Some(16));
        assert_eq!(first_beyond("a,b,c", b',', 2), Some(3));
    }

    proptest! {
        #[test]
        fn the_walk_and_the_csv_crate_see_the_same_fields(text in "[ab,\"]{0,12}") {
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let record = reader.records().next().map(|record| record.expect("memory can be read"));
            prop_assume!(record.is_some());
            let values: Vec<String> = record.iter().flatten().map(str::to_owned).collect();
            let walked: Vec<String> = walk(&text).into_iter().map(|cell| value(&text[cell.span])).collect();
            prop_assert_eq!(walked, values);
        }
    }

    /// What a written field means, by the book.
    fn value(written: &str) -> String {
        let Some(inner) = written.strip_prefix('"') else { return written.to_owned() };
        let mut value = String::new();
        let mut letters = inner.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter != '"' {
                value.push(letter);
            } else if letters.next_if_eq(&'"').is_some() {
                value.push('"');
            } else {
                return value + &letters.collect::<String>();
            }
        }
        value
    }
}
