//! Reads a CSV plan into rows with their spans, in one pass.

use std::collections::HashMap;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::diagnostic::{Diagnostic, quote};
use super::field::{Field, Value};
use super::names;
use super::review::Review;
use super::row::Row;
use super::source::{Source, Span};
use crate::format::plural;
use crate::job::Wave;

/// The columns of a plan.
const COLUMNS: [Field; 7] = [
    Field::DataEngineId,
    Field::NewImageVersionId,
    Field::Region,
    Field::Wave,
    Field::ExpectedImageVersionId,
    Field::DataEngineName,
    Field::Note,
];
/// The separators that a plan may use, and their names.
const SEPARATORS: [(char, &str); 3] = [(',', "commas"), (';', "semicolons"), ('\t', "tabs")];
/// Maximum fields of a row: one with more is not a plan and would take much memory.
const MAX_COLUMNS: usize = 1_000;

/// What a CSV file is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The whole plan.
    Plan,
    /// Engines of a YAML plan, which states the wave, and perhaps an image version for all.
    Included { has_image_version: bool },
}

/// What a CSV file holds.
#[derive(Default)]
pub(super) struct Sheet {
    pub rows: Vec<Row>,
    /// Waves in the order of their first rows; empty when the file has none.
    pub waves: Vec<Wave>,
}

/// Reads a file, and reports every problem in it.
pub(super) fn read(review: &mut Review, source: &Source, role: Role) -> Sheet {
    let separator = separator(source.body());
    let records = Records {
        source,
        separator,
        parser: ReaderBuilder::new().delimiter(separator).build(),
        at: 0,
        value: vec![0; source.body().len()],
    };
    let mut table = Table {
        review,
        source,
        separator: SEPARATORS
            .iter()
            .find(|(sign, _)| *sign == char::from(separator))
            .map_or("", |(_, name)| name),
        columns: Vec::new(),
        sheet: Sheet::default(),
        wave_numbers: HashMap::new(),
        first_wave: None,
        without_wave: None,
    };
    table.read(records, role);
    table.sheet
}

/// The first separator in the header, which then holds for the whole file. A name of a column contains none.
fn separator(body: &str) -> u8 {
    let header = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let first = header.chars().find(|letter| SEPARATORS.iter().any(|(sign, _)| sign == letter));
    first.and_then(|sign| u8::try_from(sign).ok()).unwrap_or(b',')
}

/// One field: what it means, and where it is written, quotes included.
struct Cell {
    text: String,
    span: Span,
    quotes: Quotes,
}

/// How a field uses quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    NoneOrWhole,
    NeverClosed,
    TextAfterClosing,
}

impl Quotes {
    /// Follows the rules of the parser: a quote counts only as the first byte, and doubled inside quotes.
    fn of(written: &str) -> Self {
        let Some(inside) = written.strip_prefix('"') else { return Self::NoneOrWhole };
        let inside = inside.replace("\"\"", "");
        match inside.find('"') {
            None => Self::NeverClosed,
            Some(end) if end + 1 == inside.len() => Self::NoneOrWhole,
            Some(_) => Self::TextAfterClosing,
        }
    }
}

/// The records of a file that hold anything.
struct Records<'s> {
    source: &'s Source,
    separator: u8,
    parser: Reader,
    /// The byte that is parsed next.
    at: usize,
    /// Where the parser writes the value of a field; no value is longer than the file.
    value: Vec<u8>,
}

impl Records<'_> {
    /// The next record that is not blank or made of separators alone. `None` at the end.
    fn next(&mut self) -> Option<Vec<Cell>> {
        loop {
            let record = self.record()?;
            let is_blank = |cell: &Cell| cell.text.trim().is_empty() && cell.quotes == Quotes::NoneOrWhole;
            if record.len() > MAX_COLUMNS || !record.iter().all(is_blank) {
                return Some(record);
            }
        }
    }

    /// The next record; it ends after one field more than a record may have.
    fn record(&mut self) -> Option<Vec<Cell>> {
        let mut cells = Vec::new();
        loop {
            let (cell, is_last) = self.field(cells.is_empty())?;
            cells.push(cell);
            if is_last || cells.len() > MAX_COLUMNS {
                return Some(cells);
            }
        }
    }

    /// The next field, and whether it ends its record.
    fn field(&mut self, is_first: bool) -> Option<(Cell, bool)> {
        let body = self.source.body();
        let (start, mut filled) = (self.at, 0);
        let is_last = loop {
            let input = &body.as_bytes()[self.at..];
            let (result, read, written) = self.parser.read_field(input, &mut self.value[filled..]);
            self.at += read;
            filled += written;
            match result {
                ReadFieldResult::Field { record_end } => break record_end,
                ReadFieldResult::End => return None,
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            }
        };
        let is_end = |letter| letter == '\r' || letter == '\n';
        // the parser skips blank lines before a record
        let blank = if is_first { &body[start..self.at] } else { "" };
        let start = start + blank.len() - blank.trim_start_matches(is_end).len();
        let written = &body[start..self.at];
        let written =
            written.strip_suffix(char::from(self.separator)).filter(|_| !is_last).unwrap_or(written);
        let written = if is_last { written.trim_end_matches(is_end) } else { written };
        let text = String::from_utf8_lossy(&self.value[..filled]).into_owned();
        let span = self.source.span(start..start + written.len());
        Some((Cell { text, span, quotes: Quotes::of(written) }, is_last))
    }
}

struct Table<'r> {
    review: &'r mut Review,
    source: &'r Source,
    /// The name of the separator.
    separator: &'static str,
    /// The field of each column; `None` where it is not known.
    columns: Vec<Option<Field>>,
    sheet: Sheet,
    wave_numbers: HashMap<String, usize>,
    first_wave: Option<Span>,
    /// The first row without a wave, and how many there are.
    without_wave: Option<(Span, usize)>,
}

impl Table<'_> {
    fn read(&mut self, mut records: Records<'_>, role: Role) {
        let Some(header) = records.next() else {
            let help = "start with a line that names the columns: data_engine_id,new_image_version_id";
            self.review.error(self.source.span(0..0), "the file is empty", help);
            return;
        };
        if self.is_too_wide(&header) || self.has_bad_quotes(&header) || !self.read_header(&header, role) {
            return;
        }
        let mut rows = 0;
        while let Some(record) = records.next() {
            rows += 1;
            if self.is_too_wide(&record) || !self.review.admit(whole(&record)) {
                return;
            }
            self.read_row(record);
        }
        if rows == 0 {
            let help = "write one row for each engine below the header";
            self.review.error(whole(&header), "the file has no engines", help);
        }
        self.compare_waves();
    }

    /// Reports a record with too many fields. Reading stops there.
    fn is_too_wide(&mut self, record: &[Cell]) -> bool {
        let Some(cell) = record.get(MAX_COLUMNS) else { return false };
        let help = "keep only the columns of a plan; the rest of this file was not reviewed";
        self.review.error(cell.span, format!("the row has more than {MAX_COLUMNS} fields"), help);
        true
    }

    /// Learns the columns. False when the rows cannot be read.
    fn read_header(&mut self, header: &[Cell], role: Role) -> bool {
        if !header.iter().any(|cell| names::may_be_column(cell.text.trim(), &COLUMNS)) {
            let is_excel = header[0].text.to_ascii_lowercase().starts_with("sep=");
            let help = if is_excel {
                "remove this line, which only Excel reads; the rest of this file was not reviewed"
            } else {
                "add a line above it that names the columns: data_engine_id,new_image_version_id,region; the rest of \
                 this file was not reviewed"
            };
            let title = "the first line is not a header: it does not name any column of a plan";
            self.review.error(whole(header), title, help);
            return false;
        }
        let known: Vec<_> =
            header.iter().filter_map(|cell| names::column(cell.text.trim(), &COLUMNS)).collect();
        for (index, cell) in header.iter().enumerate() {
            let field = self.column(index, cell, &known);
            let first = self.columns.iter().position(|column| field.is_some() && *column == field);
            if let (Some(field), Some(first)) = (field, first) {
                let title = format!("the column {} appears twice", quote(field.name()));
                let error = Diagnostic::error(cell.span, title, "keep one of the two");
                self.review.report(error.with_other(header[first].span, "first here"));
            }
            self.columns.push(field.filter(|_| first.is_none()));
        }
        let inherits = role == Role::Included { has_image_version: true };
        for field in [Field::DataEngineId, Field::NewImageVersionId] {
            let is_optional = field == Field::NewImageVersionId && inherits;
            if !is_optional && !self.columns.contains(&Some(field)) {
                let name = quote(field.name());
                let help = format!("add the column {name} to the header and to every row");
                self.review.error(whole(header), format!("the column {name} is missing"), help);
            }
        }
        let wave = self.columns.iter().position(|column| *column == Some(Field::Wave));
        if let Some(index) = wave.filter(|_| role != Role::Plan) {
            let help = "remove the column: the plan that includes the file states the wave of its engines";
            self.review.error(header[index].span, "an included file cannot have the column `wave`", help);
            self.columns[index] = None;
        }
        true
    }

    /// The field of a column. An unknown name is reported and read as the one that was probably meant, if the file does
    /// not have that column as well.
    fn column(&mut self, index: usize, cell: &Cell, known: &[Field]) -> Option<Field> {
        let name = cell.text.trim();
        if name.is_empty() {
            let title = format!("column {} has no name", index + 1);
            self.review.error(cell.span, title, "name the column, or remove it from every row");
            return None;
        }
        if let Some(field) = names::column(name, &COLUMNS) {
            return Some(field);
        }
        if name.contains(SEPARATORS.map(|(sign, _)| sign)) {
            let title = format!("the header mixes {} and other separators", self.separator);
            self.review.error(cell.span, title, "use one separator in the whole file");
            return None;
        }
        let meant = names::report_unknown(self.review, "column", name, cell.span, &COLUMNS.map(Field::name));
        meant.and_then(|name| names::column(name, &COLUMNS)).filter(|field| !known.contains(field))
    }

    fn read_row(&mut self, record: Vec<Cell>) {
        if self.has_bad_quotes(&record) || self.has_wrong_length(&record) {
            return;
        }
        let mut row = Row::at(whole(&record));
        let mut wave = None;
        for (cell, column) in record.into_iter().zip(self.columns.clone()) {
            let Some(field) = column else { continue };
            let is_required = matches!(field, Field::DataEngineId | Field::NewImageVersionId);
            if cell.text.is_empty() && !is_required {
                if field == Field::Wave {
                    self.without_wave.get_or_insert((cell.span, 0)).1 += 1;
                }
                continue;
            }
            let value = Value::read(self.review, field, &cell.text, cell.span);
            if field == Field::Wave { wave = Some(value) } else { row.set(field, value) }
        }
        if let Some(wave) = wave {
            row.wave = self.wave_number(wave);
        }
        if !row.engine.text.is_empty() {
            self.sheet.rows.push(row);
        }
    }

    fn wave_number(&mut self, name: Value) -> usize {
        self.first_wave.get_or_insert(name.span);
        if let Some(number) = self.wave_numbers.get(&name.text) {
            return *number;
        }
        let number = self.sheet.waves.len();
        self.wave_numbers.insert(name.text.clone(), number);
        self.sheet.waves.push(Wave::named(name.text));
        number
    }

    /// All rows have a wave, or none has: the order of a row without one would be undefined.
    fn compare_waves(&mut self) {
        let (Some(waved), Some((span, count))) = (self.first_wave, self.without_wave) else { return };
        let verb = if count == 1 { "has" } else { "have" };
        let title = format!("{} {verb} no wave, and others have one", plural(count, "row"));
        let error = Diagnostic::error(span, title, "write a wave in every row, or in none");
        self.review.report(error.with_other(waved, "this row has one"));
    }

    /// Reports the first field whose quotes do not enclose all of it.
    fn has_bad_quotes(&mut self, record: &[Cell]) -> bool {
        let Some(cell) = record.iter().find(|cell| cell.quotes != Quotes::NoneOrWhole) else { return false };
        if cell.quotes == Quotes::NeverClosed {
            let span = Span { end: cell.span.start + 1, ..cell.span };
            let help = "close it, or remove it; the text after it was not reviewed";
            self.review.error(span, "this quote is never closed", help);
        } else {
            let help = "quote the whole field, or no part of it";
            self.review.error(cell.span, "text follows a closing quote", help);
        }
        true
    }

    /// Reports a row that does not have one field for each column.
    fn has_wrong_length(&mut self, record: &[Cell]) -> bool {
        let (has, needs) = (record.len(), self.columns.len());
        let title =
            format!("the row has {} and the header {}", plural(has, "field"), plural(needs, "column"));
        let separator = self.separator;
        let error = if has == needs {
            return false;
        } else if record[0].text.starts_with('#') {
            let help = "remove the line, or use the column `note`";
            Diagnostic::error(whole(record), "a CSV plan cannot have comments", help)
        } else if let Some(extra) = record.get(needs) {
            let span = Span { end: whole(record).end, ..extra.span };
            let help = format!("remove the extra fields, or quote a field that contains {separator}");
            Diagnostic::error(span, title, help)
        } else if record.iter().any(|cell| cell.text.contains(SEPARATORS.map(|(sign, _)| sign))) {
            let title = format!("{title}, which is separated by {separator}");
            Diagnostic::error(whole(record), title, "use one separator in the whole file")
        } else {
            let help = "add the missing fields; an empty field still needs its separator";
            Diagnostic::error(record[has - 1].span, title, help)
        };
        self.review.report(error);
        true
    }
}

/// The span of a whole record.
fn whole(record: &[Cell]) -> Span {
    Span { end: record[record.len() - 1].span.end, ..record[0].span }
}

#[cfg(test)]
mod tests;
