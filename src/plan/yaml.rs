//! Parses YAML into a tree of values with their positions, so that every problem can be reported.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Options, SnippetMode, Spanned, UserMessageFormatter};

use super::diagnostic::quote;
use super::review::Review;
use super::source::Source;

/// Levels of nesting; a plan needs five.
const MAX_DEPTH: usize = 16;
/// Values, keys included: 100,000 engines with every key take 1.3 million.
const MAX_NODES: usize = 1_500_000;
/// Parser steps; every node is one, and every list and mapping one more.
const MAX_EVENTS: usize = 3_500_000;
/// Uses of anchors: two for each engine.
const MAX_ALIASES: usize = 200_000;
/// Nodes that uses of anchors may add to the plan.
const MAX_REPLAYED: usize = 200_000;

/// What the parser says where it is too deep for itself, before any limit of ours.
const PARSER_DEPTH: &str = "recursion limit exceeded";

const INDENT_WITH_SPACES: &str = "indent with spaces; the rest of this file was not reviewed";

/// A value in the plan.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it stands, in bytes of the body; for a use of an anchor, where the use stands.
    pub span: Range<usize>,
    pub shape: Shape,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Shape {
    /// `~`, `null` or nothing at all.
    Nothing,
    Text(Box<str>),
    /// A number or truth value: the bytes of the body that hold it as written.
    Literal(Range<usize>),
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a value that is text, exactly as written: `0123` stays `0123`.
    pub fn text<'n>(&'n self, body: &'n str) -> Option<&'n str> {
        match &self.shape {
            Shape::Text(text) => Some(text),
            Shape::Literal(span) => body.get(span.clone()),
            Shape::Nothing | Shape::List(_) | Shape::Mapping(_) => None,
        }
    }
}

/// Parses a file. `None` when it is not YAML; the reason is then among the diagnostics, and the only one.
pub(super) fn parse(review: &mut Review, source: &Source) -> Option<Node> {
    let body = source.body();
    match serde_saphyr::from_str_with_options(body, options()) {
        Ok(node) => Some(node),
        Err(error) => {
            let at = error.location().map_or(body.len(), |location| byte_of(body, location));
            let (reason, help) = (reason(unwrapped(&error)), help(unwrapped(&error)));
            let (at, help) = indenting_tab(body, at).map_or((at, help), |tab| (tab, INDENT_WITH_SPACES));
            let end = body[at..].chars().next().map_or(at, |character| at + character.len_utf8());
            review.error(source.span(at..end), format!("invalid YAML: {reason}"), help);
            None
        }
    }
}

/// Limits against hostile files. Repeated keys and merge keys pass, because the review reports them itself
/// with both spans.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_EVENTS,
            max_aliases: MAX_ALIASES,
            // a plan may well use one anchor in every engine
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        // ids stay the text that was written
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}

/// The error itself, where the parser wrapped it because it met it in a use of an anchor.
fn unwrapped(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    error
}

/// What the parser says, in the manner of the other diagnostics.
fn reason(error: &Error) -> String {
    match error {
        Error::MultipleDocuments { .. } => return "a second document begins here".to_owned(),
        error if is_limit(error) => {
            return "it is too large, too deep, or repeats itself too often".to_owned();
        }
        _ => {}
    }
    let options =
        serde_saphyr::render_options! { formatter: &UserMessageFormatter, snippets: SnippetMode::Off };
    let message = error.render_with_options(options);
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    quote(message).trim_matches('`').to_owned()
}

fn help(error: &Error) -> &'static str {
    match error {
        Error::MultipleDocuments { .. } => "write one plan in each file, without a second `---`",
        Error::UnsupportedTag { .. } => "remove the tag",
        error if is_limit(error) => {
            "write the values out instead of nesting them or repeating them through anchors (`&` and `*`)"
        }
        _ => "correct the YAML here; the rest of this file was not reviewed",
    }
}

/// Whether the file ran into one of the [`options`].
fn is_limit(error: &Error) -> bool {
    matches!(
        error,
        Error::Budget { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. }
            | Error::RecursiveReferencesRequireWeakTypes { .. }
    ) || matches!(error, Error::ExternalMessage { msg, .. } if msg == PARSER_DEPTH)
}

/// A tab in the indentation of the line with an error, or of the line after it, where the parser may already have been.
fn indenting_tab(body: &str, at: usize) -> Option<usize> {
    let mut start = body[..at].rfind('\n').map_or(0, |newline| newline + 1);
    for line in body[start..].split_inclusive('\n').take(2) {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        if let Some(tab) = indent.find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

/// The parser always knows the character, but not always the byte.
fn byte_of(body: &str, location: Location) -> usize {
    let characters = usize::try_from(location.span().offset()).unwrap_or(usize::MAX);
    body.char_indices().nth(characters).map_or(body.len(), |(at, _)| at)
}

/// Bytes of a value; empty when the parser does not know them.
fn bytes_of(location: Location) -> Range<usize> {
    let span = location.span();
    let number = |byte: Option<u64>| byte.and_then(|byte| usize::try_from(byte).ok()).unwrap_or_default();
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined } = Spanned::<Shape>::deserialize(deserializer)?;
        let shape = match value {
            Shape::Literal(_) => Shape::Literal(bytes_of(defined)),
            shape => shape,
        };
        Ok(Self { span: bytes_of(referenced), shape })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Literal(0..0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Literal(0..0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Literal(0..0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Literal(0..0))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Shape::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = mapping.next_entry()? {
            entries.push(entry);
        }
        Ok(Shape::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parsed(text: &str) -> Result<(Source, Node), super::super::diagnostic::Diagnostics> {
        let mut review = Review::default();
        let source = review.decode(Path::new("a.yaml"), text.as_bytes()).expect("a text");
        match parse(&mut review, &source) {
            Some(node) => Ok((source, node)),
            None => Err(review.into_diagnostics()),
        }
    }

    #[test]
    fn scalars_stay_the_text_that_was_written() {
        let (source, node) =
            parsed("[no, 1.10, 0123, true, 0x1F, 1e999, .nan, 'q', 1_000, !!binary RGF0YQ==]")
                .expect("valid");
        let Shape::List(nodes) = node.shape else { panic!("not a list") };
        let texts: Vec<_> = nodes.iter().filter_map(|node| node.text(source.body())).collect();
        assert_eq!(texts, ["no", "1.10", "0123", "true", "0x1F", "1e999", ".nan", "q", "1_000", "RGF0YQ=="]);
    }

    #[test]
    fn a_use_of_an_anchor_has_the_anchors_text_and_its_own_place() {
        let (source, node) = parsed("[&a 1.10, *a]").expect("valid");
        let Shape::List(nodes) = node.shape else { panic!("not a list") };
        assert_eq!(nodes[1].text(source.body()), Some("1.10"));
        assert_eq!(nodes[1].span, 10..12);
    }

    #[test]
    fn a_syntax_error_is_one_finding_at_its_place() {
        let diagnostics = parsed("é: b\nengines: [1, 2\nb: 3\n").expect_err("not YAML");
        assert_eq!(diagnostics.len(), 1);
        let location = diagnostics.sources[0].location(diagnostics.kept[0].span);
        assert_eq!((location.line, location.column), (3, 2));
        assert_eq!(diagnostics.kept[0].title, "invalid YAML: illegal placement of ':' indicator");
    }

    #[test]
    fn a_tab_that_indents_is_found_where_it_stands() {
        for (text, line, column) in [
            ("region: ap-a\n\tengines: [a]\n", 2, 1),
            ("engines:\n\t- a\n", 2, 1),
            ("engines:\n  - a\n  \t- b\n", 3, 3),
        ] {
            let diagnostics = parsed(text).expect_err("not YAML");
            let location = diagnostics.sources[0].location(diagnostics.kept[0].span);
            assert_eq!((location.line, location.column), (line, column), "{text:?}: {diagnostics:?}");
            assert_eq!(diagnostics.kept[0].help, INDENT_WITH_SPACES);
        }
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused_in_small_memory() {
        let level = |level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1);
        let bomb = "a0: &a0 [x]\n".to_owned() + &(1..40).map(level).collect::<String>();
        for text in [bomb, "[".repeat(100_000), "&a [*a]".to_owned(), "a: {".repeat(50) + &"}".repeat(50)] {
            let diagnostics = parsed(&text).expect_err("hostile");
            assert_eq!(diagnostics.len(), 1);
            let title = "invalid YAML: it is too large, too deep, or repeats itself too often";
            assert_eq!(diagnostics.kept[0].title, title);
        }
    }
}
