//! Turns the tree of a YAML plan into rows: which keys may stand where, and what each must hold.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::MAX_JOBS;
use super::check::{Draft, Fallback, Row};
use super::csv::{self, Role};
use super::finding::{Finding, Place, Review, quote};
use super::names;
use super::source::Opened;
use super::value::{Field, Value};
use super::yaml::{Node, Shape};
use crate::format::read_duration;
use crate::job::{Region, Wave};

const PLAN_KEYS: [&str; 5] = ["region", "new_image_version_id", "expect", "waves", "engines"];
const EXPECT_KEYS: [&str; 2] = ["account", "region"];
const WAVE_KEYS: [&str; 3] = ["name", "soak", "engines"];
const ENGINE_KEYS: [&str; 7] = [
    "data_engine_id",
    "new_image_version_id",
    "region",
    "expected_image_version_id",
    "data_engine_name",
    "note",
    "from",
];

/// A key that is known where it stands, and its value.
struct Entry<'n> {
    name: &'static str,
    place: Place,
    node: &'n Node,
}

/// Reads the tree of a plan, and reports everything that is wrong with it.
pub(super) fn read(review: &mut Review, opened: &Opened, path: &Path, root: &Node) -> Draft {
    let folder = path.parent().unwrap_or(Path::new(""));
    let draft = Draft::default();
    let mut reader = Reader { review, opened, folder, draft, included: HashMap::new(), without_target: None };
    reader.plan(root);
    reader.report_missing_targets();
    reader.draft
}

struct Reader<'r> {
    review: &'r mut Review,
    opened: &'r Opened,
    folder: &'r Path,
    draft: Draft,
    /// The CSV files so far, and where each was named.
    included: HashMap<PathBuf, Place>,
    /// The first engine without an image version, and how many there are.
    without_target: Option<(Value, usize)>,
}

impl Reader<'_> {
    fn plan(&mut self, root: &Node) {
        let Some(entries) = self.mapping(root, "a plan", &PLAN_KEYS) else { return };
        let find = |name| entries.iter().find(|entry| entry.name == name);
        // before the engines, which may lean on them
        self.draft.region = self.fallback(Field::Region, find("region"));
        self.draft.target = self.fallback(Field::NewImageVersionId, find("new_image_version_id"));
        if let Some(entry) = find("expect") {
            self.expect(entry.node);
        }
        match (find("waves"), find("engines")) {
            (Some(waves), Some(engines)) => {
                let remedy = "move the engines into a wave, or remove the waves";
                let title = "a plan has either `waves` or `engines`, and this one has both";
                let (first, second) =
                    if waves.place < engines.place { (waves, engines) } else { (engines, waves) };
                self.report_other(second.place, title, remedy, first.place, "the other");
                self.waves(waves.node);
                self.engines(engines.node, 0);
            }
            (Some(waves), None) => self.waves(waves.node),
            (None, Some(engines)) => self.engines(engines.node, 0),
            (None, None) => {
                let remedy = "add the key `engines` with a list of engines, or `waves` with a list of waves";
                self.report(self.place(root), "the plan has no engines", remedy);
            }
        }
    }

    fn expect(&mut self, node: &Node) {
        let Some(entries) = self.mapping(node, "`expect`", &EXPECT_KEYS) else { return };
        if matches!(&node.shape, Shape::Mapping(written) if written.is_empty()) {
            let remedy = "write `account` or `region` into it, or leave it out";
            self.report(self.place(node), "`expect` expects nothing", remedy);
        }
        for entry in &entries {
            match entry.name {
                "account" => self.draft.expect.account = Some(self.value(Field::Account, entry).text),
                _ => self.draft.expect.region = Some(Region::new(self.value(Field::Region, entry).text)),
            }
        }
    }

    fn fallback(&mut self, field: Field, entry: Option<&Entry<'_>>) -> Fallback {
        let Some(entry) = entry else { return Fallback::Absent };
        let text = self.value(field, entry).text;
        if text.is_empty() { Fallback::Broken } else { Fallback::Given(text) }
    }

    fn waves(&mut self, node: &Node) {
        let remedy = "write a list of waves, each with `name` and `engines`";
        let Some(waves) = self.list(node, "`waves`", remedy) else { return };
        let mut named: HashMap<String, Place> = HashMap::new();
        for (number, wave) in waves.iter().enumerate() {
            let (name, soak) = self.wave(wave, number);
            self.draft.waves.push(Wave { name: name.text.clone(), soak });
            if name.text.is_empty() {
                continue;
            }
            if let Some(first) = named.get(&name.text) {
                let title = format!("the wave {} appears twice", quote(&name.text));
                let remedy = "give it another name, or put its engines into the first one";
                self.report_other(name.place, title, remedy, *first, "first here");
            } else {
                named.insert(name.text, name.place);
            }
        }
    }

    /// Reads one wave and returns its name, empty when it has none, and how long it soaks.
    fn wave(&mut self, node: &Node, number: usize) -> (Value, Duration) {
        let place = self.place(node);
        let nameless = Value { text: String::new(), place };
        let Some(entries) = self.mapping(node, "a wave", &WAVE_KEYS) else {
            return (nameless, Duration::ZERO);
        };
        let find = |name| entries.iter().find(|entry| entry.name == name);
        let name = find("name").map(|entry| self.value(Field::WaveName, entry));
        if name.is_none() {
            self.report(place, "the wave has no name", "add the key `name`, for example `name: canary`");
        }
        if let Some(entry) = find("engines") {
            self.engines(entry.node, number);
        } else {
            self.report(place, "the wave has no engines", "add the key `engines` with a list of engines");
        }
        // what cannot be read is among the findings
        let soak = find("soak").map(|entry| self.value(Field::Soak, entry).text);
        let soak = soak.and_then(|text| read_duration(&text).ok()).unwrap_or_default();
        (name.unwrap_or(nameless), soak)
    }

    fn engines(&mut self, node: &Node, wave: usize) {
        let remedy = "write a list: ids, mappings with `data_engine_id`, or `from: fleet.csv`";
        let Some(engines) = self.list(node, "`engines`", remedy) else { return };
        for engine in engines {
            let admitted = match &engine.shape {
                Shape::Mapping(_) => self.engine(engine, wave),
                _ => self.plain_engine(engine, wave),
            };
            if !admitted {
                return;
            }
        }
    }

    /// An engine that is only an id. False when there are too many engines.
    fn plain_engine(&mut self, node: &Node, wave: usize) -> bool {
        let place = self.place(node);
        if !self.review.admit(place) {
            return false;
        }
        let engine = self.text(Field::DataEngineId, "an engine", node);
        self.push(Row { wave, ..Row::of(engine) });
        true
    }

    /// An engine with keys of its own, or a file of engines. False when there are too many engines.
    fn engine(&mut self, node: &Node, wave: usize) -> bool {
        let Some(entries) = self.mapping(node, "an engine", &ENGINE_KEYS) else { return true };
        if let Some(from) = entries.iter().find(|entry| entry.name == Field::From.name()) {
            for extra in entries.iter().filter(|entry| entry.name != Field::From.name()) {
                let title = format!("{} beside `from` would have no effect", quote(extra.name));
                let remedy = "write it in the rows of the CSV file, or at the top of the plan";
                self.report_other(extra.place, title, remedy, from.place, "the file");
            }
            self.include(from, wave);
            return self.review.engines <= MAX_JOBS;
        }
        if !self.review.admit(self.place(node)) {
            return false;
        }
        self.keyed_engine(self.place(node), &entries, wave);
        true
    }

    fn keyed_engine(&mut self, place: Place, entries: &[Entry<'_>], wave: usize) {
        let mut row = Row { wave, ..Row::of(Value { text: String::new(), place }) };
        if entries.iter().all(|entry| entry.name != Field::DataEngineId.name()) {
            self.report(place, "the engine has no `data_engine_id`", Field::DataEngineId.remedy());
        }
        for entry in entries {
            match entry.name {
                "data_engine_id" => row.engine = self.value(Field::DataEngineId, entry),
                "new_image_version_id" => row.target = Some(self.value(Field::NewImageVersionId, entry)),
                "region" => row.region = Some(self.value(Field::Region, entry)),
                "expected_image_version_id" => {
                    row.expected = Some(self.value(Field::ExpectedImageVersionId, entry));
                }
                "data_engine_name" => row.name = Some(self.value(Field::DataEngineName, entry)),
                _ => row.note = Some(self.value(Field::Note, entry).text),
            }
        }
        self.push(row);
    }

    fn push(&mut self, row: Row) {
        if row.engine.text.is_empty() {
            return;
        }
        if row.target.is_none() && matches!(self.draft.target, Fallback::Absent) {
            self.without_target.get_or_insert_with(|| (row.engine.clone(), 0)).1 += 1;
        }
        self.draft.rows.push(row);
    }

    /// One finding for all: one key at the top mends them together.
    fn report_missing_targets(&mut self) {
        let Some((engine, count)) = self.without_target.take() else { return };
        let name = quote(&engine.text);
        let title = match count {
            1 => format!("the engine {name} has no image version to go to"),
            count => format!("{count} engines have no image version to go to, {name} is the first"),
        };
        self.report(
            engine.place,
            title,
            "add the key `new_image_version_id` to the engine, or once at the top",
        );
    }

    fn include(&mut self, from: &Entry<'_>, wave: usize) {
        let named = self.value(Field::From, from);
        if named.text.is_empty() {
            return;
        }
        let path = self.folder.join(&named.text);
        if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
            let title = format!("{} is not a CSV file", quote(&named.text));
            self.report(named.place, title, "name a file that ends in `.csv`");
            return;
        }
        // two spellings, or a link, can lead to the same file
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(first) = self.included.get(&real).copied() {
            let title = format!("{} is included twice", quote(&named.text));
            self.report_other(named.place, title, "remove one of the two", first, "first here");
            return;
        }
        self.included.insert(real, named.place);
        let opened = match self.review.open(&path) {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(cause) => return self.report_unreadable(&named, &cause),
        };
        let has_image_version = !matches!(self.draft.target, Fallback::Absent);
        let sheet = csv::read(self.review, &opened, Role::Included { has_image_version });
        self.draft.rows.extend(sheet.rows.into_iter().map(|row| Row { wave, ..row }));
    }

    fn report_unreadable(&mut self, named: &Value, cause: &io::Error) {
        let title = format!("cannot read {}: {cause}", quote(&named.text));
        let remedy = "check the path, which counts from the folder of the plan, and its permissions";
        self.report(named.place, title, remedy);
    }

    /// The known keys of a mapping, the first of each name. `None` when it is no mapping.
    fn mapping<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Option<Vec<Entry<'n>>> {
        let Shape::Mapping(written) = &node.shape else {
            let remedy = format!("write keys with values; known here: {}", names::list(known));
            self.report(
                self.place(node),
                format!("{what} must be a mapping, and this is {}", kind(node)),
                remedy,
            );
            return None;
        };
        let mut entries: Vec<Entry<'n>> = Vec::new();
        let mut guessed = Vec::new();
        for (key, value) in written {
            let place = self.place(key);
            let Some(written) = key.text(self.opened.body()) else {
                let title = format!("a key must be text, and this is {}", kind(key));
                self.report(place, title, "write the name of a key");
                continue;
            };
            let Some(name) = known.iter().copied().find(|name| *name == written) else {
                let meant = names::report_unknown(self.review, "key", written, place, known);
                guessed.extend(meant.map(|name| Entry { name, place, node: value }));
                continue;
            };
            if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                let title = format!("the key {} appears twice", quote(name));
                self.report_other(place, title, "keep one of the two", first.place, "first here");
                continue;
            }
            entries.push(Entry { name, place, node: value });
        }
        for entry in guessed {
            if entries.iter().all(|other| other.name != entry.name) {
                entries.push(entry);
            }
        }
        Some(entries)
    }

    /// The values of a list. `None`, with a finding, when it is no list or an empty one.
    fn list<'n>(&mut self, node: &'n Node, what: &str, remedy: &str) -> Option<&'n [Node]> {
        let place = self.place(node);
        match &node.shape {
            Shape::List(nodes) if nodes.is_empty() => self.report(place, format!("{what} is empty"), remedy),
            Shape::List(nodes) => return Some(nodes),
            _ => self.report(place, format!("{what} must be a list, and this is {}", kind(node)), remedy),
        }
        None
    }

    fn value(&mut self, field: Field, entry: &Entry<'_>) -> Value {
        self.text(field, &quote(entry.name), entry.node)
    }

    /// A value that must be text; empty, with a finding, when it is not.
    fn text(&mut self, field: Field, what: &str, node: &Node) -> Value {
        let place = self.place(node);
        let opened = self.opened;
        if let Some(written) = node.text(opened.body()) {
            return Value::read(self.review, field, written, place);
        }
        let title = match node.shape {
            Shape::Nothing => format!("{what} has no value"),
            _ => format!("{what} must be text, and this is {}", kind(node)),
        };
        self.report(place, title, field.remedy());
        Value { text: String::new(), place }
    }

    fn place(&self, node: &Node) -> Place {
        self.opened.place(node.span.clone())
    }

    fn report(&mut self, place: Place, title: impl Into<String>, remedy: impl Into<String>) {
        self.review.report(Finding::new(place, title, remedy));
    }

    fn report_other(
        &mut self,
        place: Place,
        title: impl Into<String>,
        remedy: &str,
        other: Place,
        label: &'static str,
    ) {
        self.review.report(Finding::new(place, title, remedy).with_other(other, label));
    }
}

/// What a value is, in words.
fn kind(node: &Node) -> &'static str {
    match node.shape {
        Shape::Nothing => "nothing",
        Shape::Text(_) | Shape::Literal(_) => "text",
        Shape::List(_) => "a list",
        Shape::Mapping(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests;
