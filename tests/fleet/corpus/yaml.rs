//! YAML plans that no plan should be.

use super::case::Kind;
use super::files::{BadFile, Content};

/// What every small plan below begins with.
const TOP: &str = "region: ap-guangzhou\nnew_image_version_id: image-new\n";

const FLEET: &str = "data_engine_id,new_image_version_id,region\nDataEngine-f,image-new,ap-guangzhou\n";

const UNREADABLE: &str = "invalid YAML: ";

/// Refused at a line.
fn at(name: &'static str, content: impl Into<Content>, line: usize, says: &'static str) -> BadFile {
    BadFile::at(Kind::YamlPlan, name, "plan.yaml", content, line, says)
}

/// A plan with these engines, which begin at line 3.
fn engines(engines: &str) -> String {
    format!("{TOP}engines:{engines}\n")
}

/// A plan whose only engines are those of this file, named at line 4.
fn from(path: &str) -> String {
    engines(&format!("\n  - from: {path}"))
}

fn sound(name: &'static str, content: impl Into<Content>, says: &'static str) -> BadFile {
    BadFile::sound(Kind::YamlPlan, name, "plan.yaml", content, says)
}

pub fn files() -> Vec<BadFile> {
    [bytes(), syntax(), hostile(), shapes(), waves(), values(), includes(), paths(), odd()].concat()
}

fn bytes() -> Vec<BadFile> {
    let with = |bytes: &[u8]| [TOP.as_bytes(), b"engines: [DataEngine-", bytes, b"]\n"].concat();
    vec![
        at("UTF-16", b"\xff\xfee\0n\0g\0", 1, "the file is UTF-16"),
        at("UTF-32", b"\xff\xfe\0\0e\0\0\0", 1, "the file is UTF-32"),
        at("a NUL", with(b"\0"), 3, "U+0000"),
        at("a NUL in a comment", engines(" [a] # \0"), 3, "U+0000"),
        at("a terminal sequence", with(b"\x1b[31m"), 3, "U+001B"),
        at("a byte that is not UTF-8", with(b"\xff"), 3, "0xFF is not UTF-8"),
        at("GB18030", with(b"\xd2\xfd\xc7\xe6"), 3, "iconv -f GB18030"),
        at("CR alone", engines(" [a]").replace('\n', "\r"), 1, "a carriage return without a line feed"),
    ]
}

fn syntax() -> Vec<BadFile> {
    vec![
        at("a bracket that stays open", engines(" [DataEngine-a"), 3, UNREADABLE),
        at("a brace that stays open", engines(" [{data_engine_id: a"), 3, UNREADABLE),
        at("a quote that stays open", engines(" ['DataEngine-a]"), 3, UNREADABLE),
        at("a bracket too many", engines(" [a]]"), 3, UNREADABLE),
        at("a tab that indents", engines("\n\t- a"), 4, "tab"),
        at("a key without its colon", format!("{TOP}engines\n  - a\n"), 3, UNREADABLE),
        at("indentation that fits nowhere", format!("{TOP}engines:\n    - a\n  - b\n"), 5, UNREADABLE),
        at("an escape that there is not", engines(" [\"\\z\"]"), 3, UNREADABLE),
        at("an escaped NUL", engines(" [\"DataEngine-\\0\"]"), 3, "U+0000"),
        at("an escaped mark that turns the direction", engines(" [\"DataEngine-\\u202e\"]"), 3, "U+202E"),
        at("half of an escaped surrogate pair", engines(" [\"\\ud800\"]"), 3, UNREADABLE),
        at(
            "a second document",
            format!("{}---\nmore: 1\n", engines(" [a]")),
            5,
            "a second document begins here",
        ),
        at("a use of no anchor", engines(" [*nowhere]"), 3, UNREADABLE),
        at("a reserved letter", engines(" [@a]"), 3, UNREADABLE),
        at("a tag of a language", engines(" [!!python/object/apply:os.system [id]]"), 3, "remove the tag"),
        at("a tag of its own", engines(" [!engine a]"), 3, "remove the tag"),
        at("a set", engines(" !!set {a, b}"), 3, "remove the tag"),
        at("a directive of another version", format!("%YAML 9.9\n---\n{}", engines(" [a]")), 1, UNREADABLE),
        at("HTML", "<!DOCTYPE html>\n<html></html>\n", 1, "must be a mapping"),
        at("CSV", FLEET, 1, "must be a mapping"),
    ]
}

/// Small files that would become large ones.
fn hostile() -> Vec<BadFile> {
    let level =
        |level: usize| format!("  - &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    let bomb = format!("{TOP}engines:\n  - &a0 [x]\n{}", (1..12).map(level).collect::<String>());
    let wide = format!("{TOP}engines:\n  - &a [{}]\n{}", "x, ".repeat(1_000), "  - *a\n".repeat(1_000));
    let too_much = "it is too large, too deep, or repeats itself too often";
    let huge = super::huge();
    vec![
        at("an alias bomb", bomb, 9, too_much),
        at("one list, a thousand times", wide, 204, too_much),
        at("an anchor that holds itself", engines(" &a [*a]"), 3, UNREADABLE),
        at("a hundred thousand brackets", engines(&format!(" {}", "[".repeat(100_000))), 3, too_much),
        at("a hundred thousand braces", engines(&format!(" {}", "{a: ".repeat(100_000))), 3, too_much),
        at(
            "seventeen levels of lists",
            engines(&format!(" {}{}", "[".repeat(17), "]".repeat(17))),
            3,
            too_much,
        ),
        at("a thousand levels of dashes", engines(&format!("\n{}a", "- ".repeat(1_000))), 4, too_much),
        at("a key of a megabyte", format!("{TOP}{}: 1\n", "k".repeat(1 << 20)), 3, ""),
        at(
            "an id of megabytes",
            engines(&format!(" [{}]", "x".repeat(huge))),
            3,
            "cannot be a `data_engine_id`",
        ),
        at(
            "thirty-three megabytes",
            engines(&format!(" [a] #{}", "x".repeat(33 << 20))),
            1,
            "larger than 32 MiB",
        ),
        at("very many values", engines(&format!(" [{}]", "[], ".repeat(huge / 4))), 3, ""),
        at(
            "a hundred thousand engines and one",
            engines(&many(100_001)),
            100_004,
            "more than 100000 engines",
        ),
    ]
}

fn many(count: usize) -> String {
    (0..count).fold(String::new(), |all, number| all + "\n  - DataEngine-" + &number.to_string())
}

/// Values of the wrong shape.
fn shapes() -> Vec<BadFile> {
    vec![
        at("an empty file", "", 1, "not nothing"),
        at("comments alone", "# later\n# more\n", 3, "not nothing"),
        at("the mark of a document alone", "---\n", 1, "not nothing"),
        at("null", "null\n", 1, "not nothing"),
        at("a number", "42\n", 1, "not text"),
        at("a text", "engines\n", 1, "not text"),
        at("a list", "- DataEngine-a\n", 1, "not a list"),
        at("no engines", TOP, 1, "the plan has no engines"),
        at("engines that are null", engines(""), 3, "`engines` must be a list"),
        at("engines that are text", engines(" DataEngine-a"), 3, "`engines` must be a list"),
        at("engines that are a mapping", engines(" {a: b}"), 3, "`engines` must be a list"),
        at("an empty list of engines", engines(" []"), 3, "`engines` is empty"),
        at("an engine that is null", engines("\n  - ~"), 4, "has no value"),
        at("an engine that is a list", engines("\n  - [a]"), 4, "must be text"),
        at("an engine without an id", engines("\n  - {note: x}"), 4, "no `data_engine_id`"),
        at("an id that is a list", engines("\n  - {data_engine_id: [a]}"), 4, "must be text"),
        at("an id that is a mapping", engines("\n  - {data_engine_id: {a: b}}"), 4, "must be text"),
        at("an id that is null", engines("\n  - {data_engine_id: ~}"), 4, "has no value"),
        at("a region that is a list", "region: [a]\nengines: [a]\n", 1, "must be text"),
        at(
            "an image that is a mapping",
            format!("{}new_image_version_id: {{a: b}}\nengines: [a]\n", "region: ap-guangzhou\n"),
            2,
            "must be text",
        ),
        at(
            "no image anywhere",
            "region: ap-guangzhou\nengines: [DataEngine-a]\n",
            2,
            "has no `new_image_version_id`",
        ),
        at("no region anywhere", "new_image_version_id: i\nengines: [DataEngine-a]\n", 2, "has no region"),
        at("a key that is a list", format!("{TOP}[a, b]: c\nengines: [a]\n"), 3, "a key must be text"),
        at("a key that is null", format!("{TOP}~: c\nengines: [a]\n"), 3, "a key must be text"),
        at(
            "a key twice",
            format!("{TOP}region: ap-shanghai\nengines: [a]\n"),
            3,
            "the key `region` appears twice",
        ),
        at(
            "a key twice in an engine",
            engines("\n  - {data_engine_id: a, data_engine_id: b}"),
            4,
            "the key `data_engine_id` appears twice",
        ),
        at("a merge key", engines("\n  - {<<: {note: x}, data_engine_id: a}"), 4, "merge keys"),
        at("an unknown key", format!("{TOP}owner: me\nengines: [a]\n"), 3, "unknown key `owner`"),
        at("a misspelt key", format!("{TOP}engins: [a]\n"), 3, "did you mean `engines`"),
        at("a key in capitals", format!("{TOP}ENGINES: [a]\n"), 3, "did you mean `engines`"),
        at(
            "an unsupported key",
            format!("{TOP}max_failures: 5%\nengines: [a]\n"),
            3,
            "unknown key `max_failures`",
        ),
    ]
}

fn waves() -> Vec<BadFile> {
    let waves = |waves: &str| format!("{TOP}waves:{waves}\n");
    vec![
        at("waves that are null", waves(""), 3, "`waves` must be a list"),
        at("waves that are text", waves(" canary"), 3, "`waves` must be a list"),
        at("an empty list of waves", waves(" []"), 3, "`waves` is empty"),
        at("a wave that is null", waves("\n  - ~"), 4, "a wave must be a mapping"),
        at("a wave that is text", waves("\n  - canary"), 4, "a wave must be a mapping"),
        at("a wave without a name", waves("\n  - engines: [a]"), 4, "the wave has no name"),
        at("a wave with an empty name", waves("\n  - {name: '', engines: [a]}"), 4, "`name` is empty"),
        at(
            "a wave with a name of two lines",
            waves("\n  - {name: \"a\\nb\", engines: [a]}"),
            4,
            "a line break",
        ),
        at("a wave without engines", waves("\n  - name: a"), 4, "the wave has no engines"),
        at("an empty wave", waves("\n  - {name: a, engines: []}"), 4, "`engines` is empty"),
        at(
            "a wave whose engines are null",
            waves("\n  - name: a\n    engines:"),
            5,
            "`engines` must be a list",
        ),
        at(
            "a wave twice",
            waves("\n  - {name: a, engines: [x]}\n  - {name: a, engines: [y]}"),
            5,
            "the wave `a` appears twice",
        ),
        at(
            "an engine in two waves",
            waves("\n  - {name: a, engines: [x]}\n  - {name: b, engines: [x]}"),
            5,
            "is listed twice",
        ),
        at(
            "waves and engines",
            format!("{}engines: [y]\n", waves("\n  - {name: a, engines: [x]}")),
            5,
            "both `waves` and `engines`",
        ),
        at(
            "an unknown key in a wave",
            waves("\n  - {name: a, engines: [x], pause: 1}"),
            4,
            "unknown key `pause`",
        ),
    ]
}

fn values() -> Vec<BadFile> {
    let one = |id: &str| engines(&format!("\n  - {id}"));
    vec![
        at("an id of two lines", one("|\n    a\n    b"), 5, "white space"),
        at("a folded id", one(">\n    a\n    b"), 5, "white space"),
        at("an id with blanks inside", one("a b"), 4, "white space"),
        at("a number with a blank", one("1 000"), 4, "white space"),
        at("a look-alike", one("D\u{430}taEngine-a"), 4, "U+0430"),
        at("a mark that turns the direction", one("DataEngine-\u{202e}a"), 4, "U+202E"),
        at("an emoji", one("DataEngine-\u{1f525}"), 4, "U+1F525"),
        at("an empty id", one("''"), 4, "is empty"),
        at("nothing after the prefix", one("DataEngine-"), 4, "nothing follows the prefix"),
        at("an id of 129 characters", one(&"x".repeat(129)), 4, "129 characters"),
        at(
            "a region that is a number",
            "region: 1e999\nnew_image_version_id: i\nengines: [a]\n",
            1,
            "cannot be a `region`",
        ),
        at(
            "a region that is no number",
            "region: .nan\nnew_image_version_id: i\nengines: [a]\n",
            1,
            "cannot be a `region`",
        ),
        at("the same engine twice", engines(" [a, a]"), 3, "is listed twice"),
        at("the same engine twice through an anchor", engines(" [&x a, *x]"), 3, "is listed twice"),
    ]
}

/// Plans that include what they should not.
fn includes() -> Vec<BadFile> {
    let not_csv = "is not a CSV file";
    let cannot = "cannot read";
    vec![
        at("a file that is not there", from("nowhere.csv"), 4, cannot),
        at("a directory", from("fleet.csv"), 4, cannot).beside("fleet.csv", Content::Directory),
        at("a pipe", from("fleet.csv"), 4, "not a regular file").beside("fleet.csv", Content::Pipe),
        at("a device without end", from("fleet.csv"), 4, "not a regular file")
            .beside("fleet.csv", Content::LinkTo("/dev/zero")),
        at("a link to itself", from("fleet.csv"), 4, cannot)
            .beside("fleet.csv", Content::LinkTo("fleet.csv")),
        at("itself", from("plan.yaml"), 4, not_csv),
        at("itself through a link", from("fleet.csv"), 1, "the first line is not a header")
            .beside("fleet.csv", Content::LinkTo("plan.yaml"))
            .in_file("fleet.csv", 1),
        at("another YAML plan", from("other.yaml"), 4, not_csv).beside("other.yaml", engines(" [b]")),
        at("a chain", from("fleet.csv"), 1, "does not name any column")
            .beside("fleet.csv", "from\nother.csv\n")
            .in_file("fleet.csv", 1),
        at("a file of the system", from("/etc/passwd"), 4, not_csv),
        at("an address", from("https://example.com/fleet.csv"), 4, cannot),
        at("an empty path", from("''"), 4, "is empty"),
        at("a path that is null", from("~"), 4, "has no value"),
        at("a path that is a list", from("[fleet.csv]"), 4, "must be text"),
        at("a path with a NUL", from("\"fleet\\0.csv\""), 4, "a control character"),
        at("a path of two lines", from("\"fleet\\n.csv\""), 4, "a line break"),
        at("a path of five thousand characters", from(&format!("{}.csv", "x".repeat(5_000))), 4, cannot),
        at("a file twice", engines("\n  - from: fleet.csv\n  - from: fleet.csv"), 5, "is included twice")
            .beside("fleet.csv", FLEET),
        at(
            "a file twice in two spellings",
            engines("\n  - from: fleet.csv\n  - from: ./fleet.csv"),
            5,
            "is included twice",
        )
        .beside("fleet.csv", FLEET),
        at(
            "a file twice through a link",
            engines("\n  - from: fleet.csv\n  - from: link.csv"),
            5,
            "is included twice",
        )
        .beside("fleet.csv", FLEET)
        .beside("link.csv", Content::LinkTo("fleet.csv")),
        at(
            "a file and a note",
            engines("\n  - {from: fleet.csv, note: x}"),
            4,
            "cannot be combined with `from`",
        )
        .beside("fleet.csv", FLEET),
        at("a file with waves", from("fleet.csv"), 1, "cannot have the column `wave`")
            .beside("fleet.csv", "data_engine_id,wave\nDataEngine-f,one\n")
            .in_file("fleet.csv", 1),
        at("a file with a bad row", from("fleet.csv"), 3, "is listed twice")
            .beside("fleet.csv", format!("{FLEET}DataEngine-f,image-new,ap-guangzhou\n"))
            .in_file("fleet.csv", 3),
        at("a binary file", from("fleet.csv"), 1, "U+0000")
            .beside("fleet.csv", vec![0; 100])
            .in_file("fleet.csv", 1),
        at(
            "files of more than 32 MiB together",
            engines("\n  - from: a.csv\n  - from: b.csv"),
            1,
            "larger than 32 MiB together",
        )
        .beside("a.csv", format!("{FLEET}{}", "\n".repeat(1 << 20)))
        .beside("b.csv", "\n".repeat((31 << 20) + (1 << 19)))
        .in_file("b.csv", 1),
    ]
}

fn paths() -> Vec<BadFile> {
    let whole =
        |name, content: Content, says| BadFile::whole(Kind::YamlPlan, name, "plan.yaml", content, says);
    vec![
        whole("a plan that is not there", Content::Nothing, "cannot read the plan"),
        whole("a directory", Content::Directory, "not a regular file"),
        whole("a pipe", Content::Pipe, "not a regular file"),
        whole("a device without end", Content::LinkTo("/dev/zero"), "not a regular file"),
        whole("a link to itself", Content::LinkTo("plan.yaml"), "symbolic links"),
    ]
}

/// Looks wrong, and is not.
fn odd() -> Vec<BadFile> {
    vec![
        sound(
            "a plan in JSON",
            "{\"region\": \"ap-guangzhou\", \"new_image_version_id\": \"i\", \"engines\": [\"a\"]}",
            "1 jobs",
        ),
        sound(
            "ids that look like numbers and truths",
            engines(" [0123, 1e9, no, .inf, 0x10, 2026-11-24]"),
            "6 jobs",
        ),
        sound(
            "one anchor in every engine",
            format!(
                "{TOP}engines:\n  - {{data_engine_id: a, note: &n x}}\n{}",
                (0..500)
                    .map(|n| "  - {data_engine_id: b".to_owned() + &n.to_string() + ", note: *n}\n")
                    .collect::<String>()
            ),
            "501 jobs",
        ),
        sound("bytes in base 64, taken as they are written", engines(" [!!binary RGF0YQ==]"), "1 jobs"),
        sound("the marks of one document", format!("---\n{}...\n", engines(" [a]")), "1 jobs"),
    ]
}
