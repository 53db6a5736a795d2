//! Reads the rows of a YAML plan from its tree: which keys are allowed, and what each must hold.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::csv::{self, Role};
use super::diagnostic::{Diagnostic, quote};
use super::field::{Field, Value};
use super::names;
use super::review::Review;
use super::row::{Draft, Fallback, Row};
use super::source::{Source, Span};
use super::yaml::{Node, Shape};
use crate::format::read_duration;
use crate::job::{Region, Wave};

const PLAN_KEYS: [&str; 5] = ["region", "new_image_version_id", "expect", "waves", "engines"];
const EXPECT_KEYS: [&str; 2] = ["account", "region"];
const WAVE_KEYS: [&str; 3] = ["name", "soak", "engines"];
const ENGINE_FIELDS: [Field; 7] = [
    Field::DataEngineId,
    Field::NewImageVersionId,
    Field::Region,
    Field::ExpectedImageVersionId,
    Field::DataEngineName,
    Field::Note,
    Field::From,
];

/// A known key and its value.
struct Entry<'n> {
    name: &'static str,
    span: Span,
    node: &'n Node,
}

/// Reads the tree of a plan, and reports every problem in it.
pub(super) fn read(review: &mut Review, source: &Source, path: &Path, root: &Node) -> Draft {
    let folder = path.parent().unwrap_or(Path::new(""));
    let draft = Draft::default();
    let mut reader = Reader { review, source, folder, draft, included: HashMap::new(), without_target: None };
    reader.plan(root);
    reader.report_missing_targets();
    reader.draft
}

struct Reader<'r> {
    review: &'r mut Review,
    source: &'r Source,
    folder: &'r Path,
    draft: Draft,
    /// The CSV files so far, and the span that names each.
    included: HashMap<PathBuf, Span>,
    /// The first engine without a target, and the number of such engines.
    without_target: Option<(Value, usize)>,
}

impl Reader<'_> {
    fn plan(&mut self, root: &Node) {
        let Some(entries) = self.mapping(root, "a plan", &PLAN_KEYS) else { return };
        let find = |name| entries.iter().find(|entry| entry.name == name);
        // before the engines, which may use them
        let region = find("region").map(|entry| self.value(Field::Region, entry));
        let target = find("new_image_version_id").map(|entry| self.value(Field::NewImageVersionId, entry));
        self.draft.region = fallback(region.as_ref());
        self.draft.target = fallback(target.as_ref());
        self.draft.top_region = region;
        if let Some(entry) = find("expect") {
            self.expect(entry.node);
        }
        match (find("waves"), find("engines")) {
            (Some(waves), Some(engines)) => {
                let help = "move the engines into a wave, or remove the waves";
                let title = "the plan has both `waves` and `engines`";
                let (first, second) =
                    if waves.span < engines.span { (waves, engines) } else { (engines, waves) };
                self.report_other(second.span, title, help, first.span, "the other");
                self.waves(waves.node);
                self.engines(engines.node, 0);
            }
            (Some(waves), None) => self.waves(waves.node),
            (None, Some(engines)) => self.engines(engines.node, 0),
            (None, None) => {
                let help = "add the key `engines` with a list of engines, or `waves` with a list of waves";
                self.report(self.span(root), "the plan has no engines", help);
            }
        }
    }

    fn expect(&mut self, node: &Node) {
        let Some(entries) = self.mapping(node, "`expect`", &EXPECT_KEYS) else { return };
        if matches!(&node.shape, Shape::Mapping(written) if written.is_empty()) {
            let help = "add `account` or `region`, or remove it";
            self.report(self.span(node), "`expect` is empty", help);
        }
        for entry in &entries {
            match entry.name {
                "account" => self.draft.expect.account = Some(self.value(Field::Account, entry).text),
                _ => self.draft.expect.region = Some(Region::new(self.value(Field::Region, entry).text)),
            }
        }
    }

    fn waves(&mut self, node: &Node) {
        let help = "write a list of waves, each with `name` and `engines`";
        let Some(waves) = self.list(node, "`waves`", help) else { return };
        let mut named: HashMap<String, Span> = HashMap::new();
        for (number, wave) in waves.iter().enumerate() {
            let (name, soak) = self.wave(wave, number);
            self.draft.waves.push(Wave { name: name.text.clone(), soak });
            if name.text.is_empty() {
                continue;
            }
            if let Some(first) = named.get(&name.text) {
                let title = format!("the wave {} appears twice", quote(&name.text));
                let help = "give it another name, or put its engines into the first one";
                self.report_other(name.span, title, help, *first, "first here");
            } else {
                named.insert(name.text, name.span);
            }
        }
    }

    /// Reads one wave and returns its name, empty when it has none, and how long it soaks.
    fn wave(&mut self, node: &Node, number: usize) -> (Value, Duration) {
        let span = self.span(node);
        let nameless = Value { text: String::new(), span };
        let Some(entries) = self.mapping(node, "a wave", &WAVE_KEYS) else {
            return (nameless, Duration::ZERO);
        };
        let find = |name| entries.iter().find(|entry| entry.name == name);
        let name = find("name").map(|entry| self.value(Field::WaveName, entry));
        if name.is_none() {
            self.report(span, "the wave has no name", "add the key `name`, for example `name: canary`");
        }
        if let Some(entry) = find("engines") {
            self.engines(entry.node, number);
        } else {
            self.report(span, "the wave has no engines", "add the key `engines` with a list of engines");
        }
        // an invalid one has been reported
        let soak = find("soak").map(|entry| self.value(Field::Soak, entry).text);
        let soak = soak.and_then(|text| read_duration(&text).ok()).unwrap_or_default();
        (name.unwrap_or(nameless), soak)
    }

    fn engines(&mut self, node: &Node, wave: usize) {
        let help = "write a list: ids, mappings with `data_engine_id`, or `from: fleet.csv`";
        let Some(engines) = self.list(node, "`engines`", help) else { return };
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
        let span = self.span(node);
        if !self.review.admit(span) {
            return false;
        }
        let engine = self.text(Field::DataEngineId, "an engine", node);
        self.push(Row { wave, engine, ..Row::at(span) });
        true
    }

    /// An engine with keys of its own, or a file of engines. False when there are too many engines.
    fn engine(&mut self, node: &Node, wave: usize) -> bool {
        let Some(entries) = self.mapping(node, "an engine", &ENGINE_FIELDS.map(Field::name)) else {
            return true;
        };
        if let Some(from) = entries.iter().find(|entry| entry.name == Field::From.name()) {
            for extra in entries.iter().filter(|entry| entry.name != Field::From.name()) {
                let title = format!("{} cannot be combined with `from`", quote(extra.name));
                let help = "write it in the rows of the CSV file, or at the top of the plan";
                self.report_other(extra.span, title, help, from.span, "the file");
            }
            self.include(from, wave);
            return !self.review.is_full();
        }
        if !self.review.admit(self.span(node)) {
            return false;
        }
        self.keyed_engine(self.span(node), &entries, wave);
        true
    }

    fn keyed_engine(&mut self, span: Span, entries: &[Entry<'_>], wave: usize) {
        let mut row = Row { wave, ..Row::at(span) };
        if entries.iter().all(|entry| entry.name != Field::DataEngineId.name()) {
            self.report(span, "the engine has no `data_engine_id`", Field::DataEngineId.help());
        }
        for entry in entries {
            let field = ENGINE_FIELDS.into_iter().find(|field| field.name() == entry.name);
            if let Some(field) = field {
                let value = self.value(field, entry);
                row.set(field, value);
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

    /// One error for all: one key at the top fixes all of them.
    fn report_missing_targets(&mut self) {
        let Some((engine, count)) = self.without_target.take() else { return };
        let name = quote(&engine.text);
        let title = match count {
            1 => format!("the engine {name} has no `new_image_version_id`"),
            count => format!("{count} engines have no `new_image_version_id`; {name} is the first"),
        };
        self.report(
            engine.span,
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
            self.report(named.span, title, "name a file that ends in `.csv`");
            return;
        }
        // two spellings, or a link, can lead to the same file
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(first) = self.included.get(&real).copied() {
            let title = format!("{} is included twice", quote(&named.text));
            self.report_other(named.span, title, "remove one of the two", first, "first here");
            return;
        }
        self.included.insert(real, named.span);
        let included = match self.review.open(&path) {
            Ok(Some(included)) => included,
            Ok(None) => return,
            Err(cause) => return self.report_unreadable(&named, &cause),
        };
        let has_image_version = !matches!(self.draft.target, Fallback::Absent);
        let sheet = csv::read(self.review, &included, Role::Included { has_image_version });
        self.draft.rows.extend(sheet.rows.into_iter().map(|row| Row { wave, ..row }));
    }

    fn report_unreadable(&mut self, named: &Value, cause: &io::Error) {
        let title = format!("cannot read {}: {cause}", quote(&named.text));
        let help = "check the path, which is relative to the directory of the plan, and its permissions";
        self.report(named.span, title, help);
    }

    /// The known keys of a mapping, the first of each name. `None` when it is no mapping.
    fn mapping<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Option<Vec<Entry<'n>>> {
        let Shape::Mapping(written) = &node.shape else {
            let help = format!("write keys with values; supported here: {}", names::list(known));
            self.report(self.span(node), format!("{what} must be a mapping, not {}", kind(node)), help);
            return None;
        };
        let mut entries: Vec<Entry<'n>> = Vec::new();
        let mut guessed = Vec::new();
        for (key, value) in written {
            let span = self.span(key);
            let Some(written) = key.text(self.source.body()) else {
                let title = format!("a key must be text, not {}", kind(key));
                self.report(span, title, "write the name of a key");
                continue;
            };
            let Some(name) = known.iter().copied().find(|name| *name == written) else {
                let meant = names::report_unknown(self.review, "key", written, span, known);
                guessed.extend(meant.map(|name| Entry { name, span, node: value }));
                continue;
            };
            if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                let title = format!("the key {} appears twice", quote(name));
                self.report_other(span, title, "keep one of the two", first.span, "first here");
                continue;
            }
            entries.push(Entry { name, span, node: value });
        }
        for entry in guessed {
            if entries.iter().all(|other| other.name != entry.name) {
                entries.push(entry);
            }
        }
        Some(entries)
    }

    /// The values of a list. `None`, with a diagnostic, when it is no list or an empty one.
    fn list<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n [Node]> {
        let span = self.span(node);
        match &node.shape {
            Shape::List(nodes) if nodes.is_empty() => self.report(span, format!("{what} is empty"), help),
            Shape::List(nodes) => return Some(nodes),
            _ => self.report(span, format!("{what} must be a list, not {}", kind(node)), help),
        }
        None
    }

    fn value(&mut self, field: Field, entry: &Entry<'_>) -> Value {
        self.text(field, &quote(entry.name), entry.node)
    }

    /// A value that must be text; empty, with a diagnostic, when it is not.
    fn text(&mut self, field: Field, what: &str, node: &Node) -> Value {
        let span = self.span(node);
        let source = self.source;
        if let Some(written) = node.text(source.body()) {
            return Value::read(self.review, field, written, span);
        }
        let title = match node.shape {
            Shape::Nothing => format!("{what} has no value"),
            _ => format!("{what} must be text, not {}", kind(node)),
        };
        self.report(span, title, field.help());
        Value { text: String::new(), span }
    }

    fn span(&self, node: &Node) -> Span {
        self.source.span(node.span.clone())
    }

    fn report(&mut self, span: Span, title: impl Into<String>, help: impl Into<String>) {
        self.review.report(Diagnostic::error(span, title, help));
    }

    fn report_other(
        &mut self,
        span: Span,
        title: impl Into<String>,
        help: &str,
        other: Span,
        label: &'static str,
    ) {
        self.review.report(Diagnostic::error(span, title, help).with_other(other, label));
    }
}

fn fallback(value: Option<&Value>) -> Fallback {
    match value {
        None => Fallback::Absent,
        Some(value) if value.text.is_empty() => Fallback::Invalid,
        Some(value) => Fallback::Given(value.text.clone()),
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
