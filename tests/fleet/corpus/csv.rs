//! CSV plans that no plan should be.

use super::case::Kind;
use super::files::{BadFile, Content};

const HEADER: &str = "data_engine_id,new_image_version_id,region\n";
const ROW: &str = "DataEngine-a,image-new,ap-guangzhou\n";

/// Refused at a line.
fn at(name: &'static str, content: impl Into<Content>, line: usize, says: &'static str) -> BadFile {
    BadFile::at(Kind::CsvPlan, name, "plan.csv", content, line, says)
}

/// Refused as a whole.
fn whole(name: &'static str, file: &str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::whole(Kind::CsvPlan, name, file, content, says)
}

/// A header, a good row, and then this.
fn after_a_row(rest: &str) -> String {
    format!("{HEADER}{ROW}{rest}")
}

/// A plan whose second row is about this engine.
fn engine(id: &str) -> String {
    after_a_row(&format!("{id},image-new,ap-guangzhou\n"))
}

/// A plan with one more column, which says this in its only row.
fn extra(column: &str, value: &str) -> String {
    format!(
        "data_engine_id,new_image_version_id,region,{column}\nDataEngine-a,image-new,ap-guangzhou,{value}\n"
    )
}

pub fn files() -> Vec<BadFile> {
    [bytes(), line_ends(), tables(), headers(), ids(), values(), sizes(), paths()].concat()
}

/// Files that are no text.
fn bytes() -> Vec<BadFile> {
    let with = |bytes: &[u8]| [HEADER.as_bytes(), ROW.as_bytes(), bytes].concat();
    let utf16 = |big: bool| {
        let units = HEADER
            .encode_utf16()
            .flat_map(move |unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        units.collect::<Vec<u8>>()
    };
    let utf32 = |big: bool| {
        let letters = HEADER.chars().flat_map(move |letter| {
            let number = u32::from(letter);
            if big { number.to_be_bytes() } else { number.to_le_bytes() }
        });
        letters.collect::<Vec<u8>>()
    };
    vec![
        at("UTF-16, little end first", [vec![0xff, 0xfe], utf16(false)].concat(), 1, "the file is UTF-16"),
        at("UTF-16, big end first", [vec![0xfe, 0xff], utf16(true)].concat(), 1, "the file is UTF-16"),
        at("UTF-16 without a mark", utf16(false), 1, "U+0000"),
        at(
            "UTF-32, little end first",
            [vec![0xff, 0xfe, 0, 0], utf32(false)].concat(),
            1,
            "the file is UTF-32",
        ),
        at("UTF-32, big end first", [vec![0, 0, 0xfe, 0xff], utf32(true)].concat(), 1, "the file is UTF-32"),
        at("a NUL in an id", engine("DataEngine-\0"), 3, "U+0000"),
        at("nothing but NULs", vec![0; 1 << 20], 1, "U+0000"),
        at("a bell", engine("DataEngine-\u{7}"), 3, "U+0007"),
        at("a terminal sequence", engine("DataEngine-\u{1b}[2J"), 3, "U+001B"),
        at("a delete", engine("DataEngine-\u{7f}"), 3, "U+007F"),
        at("the end mark of DOS", after_a_row("\u{1a}"), 3, "U+001A"),
        at("a vertical tab", after_a_row("\u{b}\n"), 3, "U+000B"),
        at("a form feed", after_a_row("\u{c}\n"), 3, "U+000C"),
        at(
            "a byte that is not UTF-8",
            with(b"DataEngine-\xff,image-new,ap-guangzhou\n"),
            3,
            "0xFF is not UTF-8",
        ),
        at("an overlong slash", with(b"DataEngine-\xc0\xaf\n"), 3, "0xC0 is not UTF-8"),
        at("half of a surrogate pair", with(b"DataEngine-\xed\xa0\x80\n"), 3, "0xED is not UTF-8"),
        at("a character that is cut off at the end", with(b"DataEngine-\xe5\xbc"), 3, "0xE5 is not UTF-8"),
        at("GB18030", with(b"DataEngine-\xd2\xfd\xc7\xe6,x,ap-guangzhou\n"), 3, "iconv -f GB18030"),
        at("Latin-1", with(b"DataEngine-caf\xe9,x,ap-guangzhou\n"), 3, "0xE9 is not UTF-8"),
        at("an executable", b"\x7fELF\x02\x01\x01\0\0\0", 1, "U+007F"),
        at("gzip", b"\x1f\x8b\x08\0\0\0\0\0", 1, "U+001F"),
        at("an Excel workbook", b"PK\x03\x04\x14\0\x06\0", 1, "U+0003"),
        at("a picture", b"\x89PNG\r\n\x1a\n", 1, "0x89 is not UTF-8"),
    ]
}

fn line_ends() -> Vec<BadFile> {
    vec![
        at(
            "CR alone, as old Macs had it",
            after_a_row("").replace('\n', "\r"),
            1,
            "a carriage return without a line feed",
        ),
        at(
            "one CR in the middle of a row",
            engine("DataEngine-\rb"),
            3,
            "a carriage return without a line feed",
        ),
        at("a line feed in a quoted id", engine("\"DataEngine-\nb\""), 3, "white space"),
        at("a next-line character", engine("DataEngine-\u{85}b"), 3, "cannot be a `data_engine_id`"),
        at("a line separator", engine("DataEngine-\u{2028}b"), 3, "cannot be a `data_engine_id`"),
    ]
}

/// Tables that do not hold together.
fn tables() -> Vec<BadFile> {
    let names = |count: usize| (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    vec![
        at("an empty file", "", 1, "the file is empty"),
        at("nothing but line feeds", "\n\n\n", 1, "the file is empty"),
        at("a header alone", HEADER, 1, "the file has no engines"),
        at("a row with too few fields", after_a_row("DataEngine-b,image-new\n"), 3, "the row has 2 fields"),
        at(
            "a row with too many fields",
            after_a_row("DataEngine-b,i,ap-guangzhou,x,y\n"),
            3,
            "the row has 5 fields",
        ),
        at("a comment", after_a_row("# later\n"), 3, "a CSV plan cannot have comments"),
        at("an unclosed quote in a row", engine("\"DataEngine-b"), 3, "never closed"),
        at(
            "an unclosed quote in the header",
            format!("data_engine_id,\"new_image\n{ROW}"),
            1,
            "never closed",
        ),
        at(
            "an unclosed quote that swallows ten thousand rows",
            after_a_row(
                &(engine("\"DataEngine-b")[HEADER.len() + ROW.len()..].to_owned() + &ROW.repeat(10_000)),
            ),
            3,
            "never closed",
        ),
        at("text after a closing quote", engine("\"DataEngine-b\"x"), 3, "text follows a closing quote"),
        at(
            "semicolons in one row",
            after_a_row("DataEngine-b;image-new;ap-guangzhou\n"),
            3,
            "which is separated by commas",
        ),
        at("the line that only Excel understands", format!("sep=;\n{HEADER}{ROW}"), 1, "only Excel reads"),
        at("a hundred thousand columns", format!("{}\n{ROW}", names(100_000)), 1, "more than 1000 fields"),
        at(
            "a hundred thousand fields in a row",
            after_a_row(&(names(100_000) + "\n")),
            3,
            "more than 1000 fields",
        ),
        at("HTML", "<!DOCTYPE html>\n<html></html>\n", 1, "the first line is not a header"),
        at("JSON", "[{\"data_engine_id\": \"DataEngine-a\"}]\n", 1, "the first line is not a header"),
        at("YAML", "region: ap-guangzhou\nengines: [DataEngine-a]\n", 1, "the first line is not a header"),
    ]
}

fn headers() -> Vec<BadFile> {
    let with = |header: &str, row: &str| format!("{header}\n{row}\n");
    let row = "DataEngine-a,image-new,ap-guangzhou";
    vec![
        at("no header", "DataEngine-2sywb3wk,7ac9cc78,ap-guangzhou\n", 1, "the first line is not a header"),
        at("a header of commas", with(",,", row), 2, "unknown column"),
        at(
            "a column without a name",
            with("data_engine_id,new_image_version_id,region,", "DataEngine-a,i,ap-guangzhou,"),
            1,
            "column 4 has no name",
        ),
        at(
            "a misspelt column",
            with("data_engin_id,new_image_version_id,region", row),
            1,
            "did you mean `data_engine_id`",
        ),
        at("an unknown column", extra("owner", "me"), 1, "unknown column `owner`"),
        at("a key of a YAML plan as a column", extra("soak", "10m"), 1, "beside `name` and `engines`"),
        at("a column twice", extra("region", "ap-guangzhou"), 1, "the column `region` appears twice"),
        at(
            "a column in two spellings",
            extra("Region", "ap-guangzhou"),
            1,
            "the column `region` appears twice",
        ),
        at(
            "a missing column",
            with("data_engine_id,region", "DataEngine-a,ap-guangzhou"),
            1,
            "the column `new_image_version_id` is missing",
        ),
        at(
            "a look-alike in a column name",
            with("d\u{430}ta_engine_id,new_image_version_id,region", row),
            1,
            "unknown column",
        ),
        at("a terminal sequence for a column", extra("\u{9b}31mred", "x"), 1, "unknown column"),
        at("a column name of a megabyte", extra(&"x".repeat(1 << 20), "x"), 1, "unknown column"),
    ]
}

/// Ids that look right.
fn ids() -> Vec<BadFile> {
    let cannot = "cannot be a `data_engine_id`";
    vec![
        at("an empty id", engine(""), 3, "`data_engine_id` is empty"),
        at("an id of blanks", engine("   "), 3, "`data_engine_id` is empty"),
        at("nothing after the prefix", engine("DataEngine-"), 3, "nothing follows the prefix"),
        at("an inner blank", engine("DataEngine- b"), 3, "white space"),
        at("blanks around an id", engine(" DataEngine-b "), 3, "white space around"),
        at("a tab in an id", engine("DataEngine-\tb"), 3, "white space"),
        at("a blank that does not break", engine("DataEngine-\u{a0}b"), 3, "white space"),
        at("a blank without width", engine("DataEngine-\u{200b}b"), 3, "U+200B"),
        at("a joiner without width", engine("DataEngine-\u{200d}b"), 3, "U+200D"),
        at("a soft hyphen", engine("DataEngine\u{ad}-b"), 3, "U+00AD"),
        at("a hyphen that is none", engine("DataEngine\u{2010}b"), 3, "U+2010"),
        at("a minus sign", engine("DataEngine\u{2212}b"), 3, "U+2212"),
        at("a Cyrillic look-alike", engine("D\u{430}taEngine-b"), 3, "U+0430"),
        at("full-width letters", engine("\u{ff24}ataEngine-b"), 3, "U+FF24"),
        at("a combining accent", engine("DataE\u{301}ngine-b"), 3, "U+0301"),
        at("the writing direction turned round", engine("DataEngine-\u{202e}b"), 3, "U+202E"),
        at("an isolated direction", engine("DataEngine-\u{2067}b"), 3, "U+2067"),
        at("a byte order mark in an id", engine("\u{feff}DataEngine-b"), 3, "U+FEFF"),
        at("an emoji", engine("DataEngine-\u{1f525}"), 3, "U+1F525"),
        at("a tag character", engine("DataEngine-\u{e0041}"), 3, "U+E0041"),
        at("an id of 129 characters", engine(&"x".repeat(129)), 3, "it has 129 characters"),
        at("an id of megabytes", engine(&"x".repeat(super::huge())), 3, cannot),
        at("an id of quotes", engine("\"\"\"\"\"\"\" \""), 3, "white space"),
        at("the same engine twice", after_a_row(ROW), 3, "is listed twice"),
        at(
            "two targets for one engine",
            after_a_row("DataEngine-a,image-other,ap-guangzhou\n"),
            3,
            "two different target image versions",
        ),
    ]
}

fn values() -> Vec<BadFile> {
    let region = |region: &str| after_a_row(&format!("DataEngine-b,image-new,{region}\n"));
    let not_one = "it does not have the form of one";
    vec![
        at(
            "no region anywhere",
            "data_engine_id,new_image_version_id\nDataEngine-a,image-new\n",
            2,
            "has no region",
        ),
        at("no region in one row", region(""), 3, "has no region"),
        at("a region in capitals", region("AP-GUANGZHOU"), 3, not_one),
        at("a region without an area", region("guangzhou"), 3, not_one),
        at("a region with a look-alike", region("ap-gu\u{430}ngzhou"), 3, not_one),
        at("a region that would be a header", region("\"ap-guangzhou\nx-evil: 1\""), 3, not_one),
        at("a region of a megabyte", region(&format!("ap-{}", "x".repeat(1 << 20))), 3, not_one),
        at(
            "an empty image version",
            after_a_row("DataEngine-b,,ap-guangzhou\n"),
            3,
            "`new_image_version_id` is empty",
        ),
        at(
            "an image version with a blank",
            after_a_row("DataEngine-b,image new,ap-guangzhou\n"),
            3,
            "white space",
        ),
        at(
            "an expected image with a blank",
            extra("expected_image_version_id", "image old"),
            2,
            "white space",
        ),
        at("a wave of 65 characters", extra("wave", &"w".repeat(65)), 2, "it has 65 characters"),
        at("a wave of two lines", extra("wave", "\"one\ntwo\""), 2, "a control character or a line break"),
        at(
            "a wave that turns the writing direction",
            extra("wave", "\u{202e}yranac"),
            2,
            "which is not printable",
        ),
        at(
            "some rows without a wave",
            format!("{}DataEngine-b,image-new,ap-guangzhou,\n", extra("wave", "one")),
            3,
            "has no wave",
        ),
        at("a note of two lines", extra("note", "\"one\ntwo\""), 2, "a control character or a line break"),
        at("a note of 501 characters", extra("note", &"n".repeat(501)), 2, "it has 501 characters"),
        at(
            "a note that turns the writing direction",
            extra("note", "\u{2066}x"),
            2,
            "which is not printable",
        ),
    ]
}

/// Files of a size that a plan may have, or nearly; `cargo test` takes smaller ones.
fn sizes() -> Vec<BadFile> {
    let huge = super::huge();
    let engines = |count: usize| {
        let rows = (0..count).map(|number| format!("DataEngine-{number},image-new,ap-guangzhou\n"));
        HEADER.to_owned() + &rows.collect::<String>()
    };
    let too_large = HEADER.to_owned() + &ROW.repeat((33 << 20) / ROW.len());
    vec![
        at("one engine too many", engines(100_001), 100_002, "more than 100000 engines"),
        at("thirty-three megabytes", too_large, 1, "larger than 32 MiB"),
        at("megabytes in one line", "x".repeat(huge), 1, "the first line is not a header"),
        at("megabytes of commas", ",".repeat(huge), 1, "more than 1000 fields"),
        at("megabytes of quotes", "\"".repeat(huge), 1, "the first line is not a header"),
        at("megabytes of line feeds", "\n".repeat(huge), 1, "the file is empty"),
        at(
            "very many mistakes",
            HEADER.to_owned() + &",x,\n".repeat(huge / 40),
            2,
            "`data_engine_id` is empty",
        ),
        at(
            "many mistakes in each row",
            HEADER.to_owned() + &"a b,,c d\n".repeat(huge / 400),
            2,
            "white space",
        ),
    ]
}

fn paths() -> Vec<BadFile> {
    let not_regular = "not a regular file";
    vec![
        whole("a plan that is not there", "plan.csv", Content::Nothing, "cannot read the plan"),
        whole("a directory", "plan.csv", Content::Directory, not_regular),
        whole("a pipe", "plan.csv", Content::Pipe, not_regular),
        whole("a device without end", "plan.csv", Content::LinkTo("/dev/zero"), not_regular),
        whole("a link to itself", "plan.csv", Content::LinkTo("plan.csv"), "symbolic links"),
        whole("a link to nowhere", "plan.csv", Content::LinkTo("nowhere.csv"), "cannot read the plan"),
        whole("no ending", "plan", format!("{HEADER}{ROW}"), "does not tell the format"),
        whole("another ending", "plan.txt", format!("{HEADER}{ROW}"), "does not tell the format"),
        whole("a packed plan", "plan.csv.gz", b"\x1f\x8b\x08\0", "does not tell the format"),
        BadFile::sound(
            Kind::CsvPlan,
            "an ending in capitals",
            "PLAN.CSV",
            format!("{HEADER}{ROW}"),
            "1 jobs",
        ),
        BadFile::sound(
            Kind::CsvPlan,
            "no line feed at the end",
            "plan.csv",
            format!("{HEADER}{}", ROW.trim_end()),
            "1 jobs",
        ),
        BadFile::sound(
            Kind::CsvPlan,
            "everything in quotes",
            "plan.csv",
            format!("{HEADER}\"DataEngine-a\",\"image-new\",\"ap-guangzhou\"\n"),
            "1 jobs",
        ),
    ]
}
