//! Tables without borders.

use comfy_table::{Cell, CellAlignment, LineStyle, Row, Table, TableStyle};

/// What the columns after the first contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Texts, aligned left.
    Texts,
    /// Numbers, aligned right.
    Numbers,
}

/// A header, a thin rule and the rows; without borders and trailing blanks, each line with its line break.
pub fn table<H: AsRef<str>>(header: &[H], rows: &[Vec<String>], columns: Columns) -> String {
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(rule));
    table.set_header(row(header.iter().map(AsRef::as_ref), columns));
    for cells in rows {
        table.add_row(row(cells.iter().map(String::as_str), columns));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1));
    });
    if let Some(last) = table.column_iter_mut().last() {
        last.set_padding((0, 0));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

fn row<'a>(cells: impl Iterator<Item = &'a str>, columns: Columns) -> Row {
    let cells = cells.enumerate().map(|(at, text)| {
        let aligned =
            if at > 0 && columns == Columns::Numbers { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(aligned)
    });
    Row::from(cells.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_right_and_no_line_ends_in_blanks() {
        let rows = [vec!["canary".into(), "6".into()], vec!["early".into(), "1024".into()]];
        let table = table(&["wave", "jobs"], &rows, Columns::Numbers);
        assert!(table.lines().all(|line| line == line.trim_end()));
        insta::assert_snapshot!(table);
    }
}
