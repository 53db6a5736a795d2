//! Reads a CSV plan into rows with their places.
//!
//! The `csv` crate reads the values; [`cells`] finds the places of the fields.

use std::collections::HashMap;
use std::ops::Range;

use ::csv::{Reader, ReaderBuilder, StringRecord};

use super::cells::{Cell, cells, first_beyond};
use super::check::Row;
use super::finding::{Finding, Place, Review, quote};
use super::names;
use super::source::Opened;
use super::value::{Field, Value};
use crate::format::plural;
use crate::job::Wave;

/// The columns, as this tool faults them.
const COLUMNS: [Field; 7] = [
    Field::DataEngineId,
    Field::NewImageVersionId,
    Field::Region,
    Field::Wave,
    Field::ExpectedImageVersionId,
    Field::DataEngineName,
    Field::Note,
];
/// The columns that the API has a spelling of its own for.
const API_COLUMNS: [(&str, Field); 4] = [
    ("DataEngineId", Field::DataEngineId),
    ("NewImageVersionId", Field::NewImageVersionId),
    ("Region", Field::Region),
    ("DataEngineName", Field::DataEngineName),
];
/// Most fields of a record. A file with more is no plan, and reading it would take much memory.
const MAX_COLUMNS: usize = 1_000;

/// What a CSV file is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The whole plan.
    Plan,
    /// Engines of a YAML plan, which says the wave, and perhaps an image version for all.
    Included { has_image_version: bool },
}

/// What a CSV file holds.
#[derive(Default)]
pub(super) struct Sheet {
    pub rows: Vec<Row>,
    /// Waves in the order of their first rows; empty when the file names none.
    pub waves: Vec<Wave>,
}

/// Reads a file, and reports everything that is wrong with it.
pub(super) fn read(review: &mut Review, opened: &Opened, role: Role) -> Sheet {
    if let Some(finding) = separator_line(opened) {
        review.report(finding);
        return Sheet::default();
    }
    let mut table = Table {
        separator: separator(opened).map_or(b',', |(_, separator)| separator),
        review,
        opened,
        columns: Vec::new(),
        sheet: Sheet::default(),
        wave_numbers: HashMap::new(),
        first_wave: None,
        without_wave: None,
    };
    table.read(role);
    table.sheet
}

struct Table<'r> {
    review: &'r mut Review,
    opened: &'r Opened,
    separator: u8,
    /// What each column says; `None` where that is not known.
    columns: Vec<Option<Field>>,
    sheet: Sheet,
    wave_numbers: HashMap<String, usize>,
    first_wave: Option<Place>,
    /// The first row without a wave, and how many there are.
    without_wave: Option<(Place, usize)>,
}

impl Table<'_> {
    fn read(&mut self, role: Role) {
        let opened = self.opened;
        if let Some(at) = first_beyond(opened.body(), self.separator, MAX_COLUMNS) {
            let title = format!("the row has more than {MAX_COLUMNS} fields");
            let remedy = "keep only the columns of a plan; nothing else in this file was reviewed";
            self.review.report(Finding::new(opened.place(at..at + 1), title, remedy));
            return;
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.separator)
            .from_reader(opened.body().as_bytes());
        let mut record = StringRecord::new();
        let Some(header) = self.next(&mut reader, &mut record) else {
            let remedy = "begin with a line that names the columns: data_engine_id,new_image_version_id";
            self.review.report(Finding::new(opened.place(0..0), "the file is empty", remedy));
            return;
        };
        if !self.header(&record, &header, role) {
            return;
        }
        let mut rows = 0;
        while let Some(span) = self.next(&mut reader, &mut record) {
            rows += 1;
            if !self.review.admit(opened.place(span.clone())) {
                return;
            }
            self.row(&record, &span);
        }
        if rows == 0 {
            let remedy = "write one row for each engine below the header";
            self.review.report(Finding::new(opened.place(header), "the file has no engines", remedy));
        }
        self.compare_waves();
    }

    /// The next record and the bytes it takes, without its line end. `None` at the end.
    fn next(&mut self, reader: &mut Reader<&[u8]>, record: &mut StringRecord) -> Option<Range<usize>> {
        let offset = |byte| usize::try_from(byte).unwrap_or(usize::MAX);
        match reader.read_record(record) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => {
                let at = offset(reader.position().byte());
                let finding =
                    Finding::new(self.opened.place(at..at), format!("not readable: {error}"), "correct it");
                self.review.report(finding);
                return None;
            }
        }
        let body = self.opened.body();
        let end = offset(reader.position().byte()).min(body.len());
        let start = record.position().map_or(end, |position| offset(position.byte())).min(end);
        // blank lines before a record count as part of it
        let start = start + body[start..end].len() - body[start..end].trim_start_matches(['\r', '\n']).len();
        Some(start..start + body[start..end].trim_end_matches(['\r', '\n']).len())
    }

    /// Learns the columns. False when there is no sense in reading rows.
    fn header(&mut self, record: &StringRecord, span: &Range<usize>, role: Role) -> bool {
        let cells = cells(self.opened.body(), span, self.separator, MAX_COLUMNS);
        if self.report_quotes(&cells) {
            return false;
        }
        let written: Vec<Option<Field>> = record.iter().map(|name| field_of(name.trim())).collect();
        if !record.iter().any(is_column) {
            let remedy = "put a line above it that names the columns: data_engine_id,new_image_version_id,region; nothing else in this file was reviewed";
            let title = "the first line is no header: it names no column of a plan";
            self.review.report(Finding::new(self.opened.place(span.clone()), title, remedy));
            return false;
        }
        self.report_separator();
        for (index, name) in record.iter().enumerate() {
            let place = self.place_of(&cells, index, span);
            let field = self.column(name, place, &written);
            self.columns.push(field);
            self.refuse_repeated(index, place, &cells, span);
        }
        self.require_columns(span, role);
        if let (Role::Included { .. }, Some(index)) = (role, self.index_of(Field::Wave)) {
            let remedy =
                "remove the column: the plan that includes the file says which wave its engines are in";
            let place = self.place_of(&cells, index, span);
            self.review.report(Finding::new(place, "an included file cannot have the column `wave`", remedy));
            self.columns[index] = None;
        }
        true
    }

    fn report_separator(&mut self) {
        let Some((at, separator)) = separator(self.opened) else { return };
        let name = if separator == b';' { "semicolons" } else { "tabs" };
        let title = format!("the columns are separated by {name}");
        let remedy = "save the file with commas between the columns";
        self.review.report(Finding::new(self.opened.place(at..at + 1), title, remedy));
    }

    /// What the column of this name says.
    fn column(&mut self, name: &str, place: Place, written: &[Option<Field>]) -> Option<Field> {
        let trimmed = name.trim();
        if trimmed.is_empty() {
            let title = format!("column {} has no name", self.columns.len() + 1);
            self.review.report(Finding::new(place, title, "name the column, or remove it from every row"));
            return None;
        }
        if trimmed.len() < name.len() {
            let title = format!("the column name {} has white space around it", quote(trimmed));
            self.review.report(Finding::new(place, title, "remove the white space"));
        }
        if let Some(field) = field_of(trimmed) {
            return Some(field);
        }
        if trimmed.contains([';', '\t']) {
            let remedy = "separate the columns by commas, here and in every row";
            self.review.report(Finding::new(place, "the header mixes commas and other separators", remedy));
            return None;
        }
        let meant = names::report_unknown(self.review, "column", trimmed, place, &COLUMNS.map(Field::name))?;
        let meant = field_of(meant).filter(|field| !written.contains(&Some(*field)));
        meant.filter(|field| !self.columns.contains(&Some(*field)))
    }

    fn refuse_repeated(&mut self, index: usize, place: Place, cells: &[Cell], span: &Range<usize>) {
        let Some(field) = self.columns[index] else { return };
        let Some(first) = self.columns[..index].iter().position(|column| *column == Some(field)) else {
            return;
        };
        let first = self.place_of(cells, first, span);
        let title = format!("the column {} appears twice", quote(field.name()));
        let finding = Finding::new(place, title, "keep one of the two").with_other(first, "first here");
        self.review.report(finding);
        self.columns[index] = None;
    }

    fn require_columns(&mut self, header: &Range<usize>, role: Role) {
        let inherits = role == Role::Included { has_image_version: true };
        for field in [Field::DataEngineId, Field::NewImageVersionId] {
            let is_optional = field == Field::NewImageVersionId && inherits;
            if !is_optional && self.index_of(field).is_none() {
                let name = quote(field.name());
                let remedy = format!("add the column {name} to the header and to every row");
                let place = self.opened.place(header.clone());
                self.review.report(Finding::new(place, format!("the column {name} is missing"), remedy));
            }
        }
    }

    fn index_of(&self, field: Field) -> Option<usize> {
        self.columns.iter().position(|column| *column == Some(field))
    }

    fn row(&mut self, record: &StringRecord, span: &Range<usize>) {
        let cells = cells(self.opened.body(), span, self.separator, self.columns.len() + 1);
        if self.report_quotes(&cells) || self.report_shape(record, &cells, span) {
            return;
        }
        let mut row = Row::of(Value { text: String::new(), place: self.opened.place(span.clone()) });
        for (index, text) in record.iter().enumerate() {
            let Some(field) = self.columns[index] else { continue };
            let place = self.place_of(&cells, index, span);
            let is_required = matches!(field, Field::DataEngineId | Field::NewImageVersionId);
            if text.is_empty() && !is_required {
                if field == Field::Wave {
                    self.without_wave.get_or_insert((place, 0)).1 += 1;
                }
                continue;
            }
            let value = Value::read(self.review, field, text, place);
            match field {
                Field::DataEngineId => row.engine = value,
                Field::NewImageVersionId => row.target = Some(value),
                Field::Region => row.region = Some(value),
                Field::ExpectedImageVersionId => row.expected = Some(value),
                Field::DataEngineName => row.name = Some(value),
                Field::Note => row.note = Some(value.text).filter(|text| !text.is_empty()),
                Field::Wave | Field::WaveName => row.wave = self.wave_number(value),
                Field::Soak | Field::From | Field::Account => {}
            }
        }
        if !row.engine.text.is_empty() {
            self.sheet.rows.push(row);
        }
    }

    fn wave_number(&mut self, name: Value) -> usize {
        self.first_wave.get_or_insert(name.place);
        if let Some(number) = self.wave_numbers.get(&name.text) {
            return *number;
        }
        let number = self.sheet.waves.len();
        self.wave_numbers.insert(name.text.clone(), number);
        self.sheet.waves.push(Wave::named(name.text));
        number
    }

    /// Waves are for all rows or for none: a row without one would have to go at some time nobody wrote.
    fn compare_waves(&mut self) {
        let (Some(waved), Some((place, count))) = (self.first_wave, self.without_wave) else { return };
        let title = match count {
            1 => "a row has no wave, and others have one".to_owned(),
            count => format!("{count} rows have no wave, and others have one"),
        };
        let remedy = "write a wave in every row, or in none";
        self.review.report(Finding::new(place, title, remedy).with_other(waved, "this row has one"));
    }

    /// Reports quotes that do not open and close a whole field. True when there were any.
    fn report_quotes(&mut self, cells: &[Cell]) -> bool {
        let Some(cell) = cells.iter().find(|cell| cell.is_open || cell.has_tail) else { return false };
        let (end, title, remedy) = if cell.is_open {
            let remedy = "close it, or remove it; nothing after it was reviewed";
            (cell.span.start + 1, "the quote that opens here is never closed", remedy)
        } else {
            (
                cell.span.end,
                "text follows a closing quote",
                "put the whole field between the quotes, or none of it",
            )
        };
        self.review.report(Finding::new(self.opened.place(cell.span.start..end), title, remedy));
        true
    }

    /// Reports a row that has not one field for each column. True when it was.
    fn report_shape(&mut self, record: &StringRecord, cells: &[Cell], span: &Range<usize>) -> bool {
        let (has, needs) = (record.len(), self.columns.len());
        let text = &self.opened.body()[span.clone()];
        let whole = self.opened.place(span.clone());
        let counts =
            format!("the row has {} and the header {}", plural(has, "field"), plural(needs, "column"));
        let finding = if record.iter().all(|field| field.trim().is_empty()) {
            Finding::new(whole, "the row is empty", "remove it")
        } else if has == needs {
            return false;
        } else if text.starts_with('#') {
            Finding::new(whole, "a CSV plan has no comments", "remove the line, or use the column `note`")
        } else if has > needs {
            let place = self.place_of(cells, needs, span);
            Finding::new(place, counts, "remove what is too much, or put a field with commas between quotes")
        } else if self.separator == b',' && text.contains([';', '\t']) {
            Finding::new(whole, format!("{counts}, separated by something else than commas"), "use commas")
        } else {
            let place = self.place_of(cells, has.saturating_sub(1), span);
            Finding::new(place, counts, "add what is missing; an empty field still needs its comma")
        };
        self.review.report(finding);
        true
    }

    fn place_of(&self, cells: &[Cell], index: usize, row: &Range<usize>) -> Place {
        self.opened.place(cells.get(index).map_or(row, |cell| &cell.span).clone())
    }
}

/// What the column of a name says, in this tool's spelling or the API's.
fn field_of(name: &str) -> Option<Field> {
    let ours = COLUMNS.into_iter().find(|field| field.name() == name);
    ours.or_else(|| API_COLUMNS.iter().find(|(spelling, _)| *spelling == name).map(|(_, field)| *field))
}

/// Whether a text of the first line names a column, perhaps with a slip of the pen.
fn is_column(name: &str) -> bool {
    field_of(name.trim()).is_some() || names::may_be_name(name.trim(), &COLUMNS.map(Field::name))
}

/// Where the first line is, blank lines before it left out, and what it says.
fn first_line(opened: &Opened) -> (usize, &str) {
    let body = opened.body();
    let start = body.len() - body.trim_start_matches(['\r', '\n']).len();
    (start, body[start..].lines().next().unwrap_or_default())
}

/// Excel's own line `sep=;`, which stands where the header should be.
fn separator_line(opened: &Opened) -> Option<Finding> {
    let (start, line) = first_line(opened);
    if !line.get(..4)?.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let title = format!("the first line is no header: only Excel understands {}", quote(line));
    let remedy =
        "remove the line, and separate the columns by commas; nothing else in this file was reviewed";
    Some(Finding::new(opened.place(start..start + line.len()), title, remedy))
}

/// The separator that the header uses, and where, unless it is the comma. It is a finding, and is then followed
/// all the same, so that the findings behind it are found too.
fn separator(opened: &Opened) -> Option<(usize, u8)> {
    let (start, header) = first_line(opened);
    if header.contains(',') {
        return None;
    }
    let at = header.find([';', '\t'])?;
    Some((start + at, header.as_bytes()[at]))
}

#[cfg(test)]
mod tests;
