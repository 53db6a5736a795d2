//! What is wrong with a plan, where it is written, and how it is shown to people.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::source::{Source, boundary};
use crate::format::{self, is_printable, printable};

/// Findings that are shown; the rest is counted.
const SHOWN: usize = 100;
/// Findings that are kept; a hostile file can have millions.
const KEPT: usize = 1_000;
/// Bytes of a line that the renderer may see whole; it fits them to the terminal itself.
const LONG_LINE: usize = 2_000;
/// Characters of a longer line that are shown before and after its place.
const WINDOW: (usize, usize) = (50, 70);
/// Characters of an offending text that are quoted in a message.
const QUOTED: usize = 60;

/// A stretch of one of the files under review, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Place {
    /// Sizes stay below 4 GiB because files are limited; a larger number would only misplace a caret.
    pub fn new(file: u32, span: Range<usize>) -> Self {
        let narrow = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { file, start: narrow(span.start), end: narrow(span.end) }
    }
}

/// One mistake: where, what, and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub place: Place,
    pub title: String,
    pub remedy: String,
    /// The other place that this one clashes with, and what it is.
    pub other: Option<(Place, &'static str)>,
}

impl Finding {
    pub fn new(place: Place, title: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place, title: title.into(), remedy: remedy.into(), other: None }
    }

    pub fn with_other(mut self, place: Place, label: &'static str) -> Self {
        self.other = Some((place, label));
        self
    }
}

/// Every finding of a bad plan, with the files they point into. Never empty.
pub struct Findings {
    pub(super) sources: Vec<Source>,
    /// In the order of files and places, at most [`KEPT`].
    pub(super) kept: Vec<Finding>,
    count: usize,
    is_cut: bool,
}

impl Findings {
    /// How many findings there are, also beyond those that are shown.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// `1 finding`, `12,000 findings`; `at least` so many where the review gave up before the end.
    pub(super) fn counted(&self) -> String {
        let counted = format::plural(self.count, "finding");
        if self.is_cut { format!("at least {counted}") } else { counted }
    }

    /// Each finding with its file, line and column, the text with a caret, and the remedy; then one closing
    /// line. Several lines of text, each with its line end.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut page = String::new();
        for finding in self.kept.iter().take(SHOWN) {
            page.push_str(&renderer.render(&[self.group(finding)]));
            page.push_str("\n\n");
        }
        let more = self.count.saturating_sub(SHOWN);
        let rest = if more > 0 { format!("and {} more\n\n", format::count(more)) } else { String::new() };
        page + &rest + &self.counted() + "; nothing was sent\n"
    }

    fn group<'a>(&'a self, finding: &'a Finding) -> Group<'a> {
        let label = finding.other.map(|_| "this one");
        let mut group = Level::ERROR.primary_title(finding.title.as_str()).elements(self.excerpt(
            finding.place,
            AnnotationKind::Primary,
            label,
        ));
        if let Some((place, label)) = finding.other {
            group = group.elements(self.excerpt(place, AnnotationKind::Context, Some(label)));
        }
        group.element(Level::HELP.message(finding.remedy.as_str()))
    }

    /// The place in words, then the line with a caret.
    fn excerpt<'a>(&'a self, place: Place, kind: AnnotationKind, label: Option<&'a str>) -> Vec<Element<'a>> {
        let Some(source) = self.sources.get(place.file as usize) else { return Vec::new() };
        let spot = source.spot(place);
        let is_long = spot.line_span.len() > LONG_LINE;
        let window = if is_long { WINDOW } else { (LONG_LINE, LONG_LINE) };
        let (line, caret) = crop(source.text(), spot.line_span, place, window);
        let annotation: Annotation<'a> = kind.span(caret).label(label);
        let snippet = Snippet::source(line).line_start(spot.line).annotation(annotation);
        if is_long {
            // the renderer would count the column from the part that it sees
            let origin = Origin::path(source.shown_path()).line(spot.line).char_column(spot.column);
            vec![origin.into(), snippet.into()]
        } else {
            vec![snippet.path(source.shown_path()).into()]
        }
    }
}

impl fmt::Debug for Findings {
    /// The titles only: the files can be large.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.kept.iter().map(|finding| &finding.title)).finish()
    }
}

/// The files under review and what was found in them so far.
#[derive(Default)]
pub(super) struct Review {
    pub sources: Vec<Source>,
    kept: Vec<Finding>,
    count: usize,
    /// True when something was left out that may hold more findings.
    pub is_cut: bool,
    /// Bytes read so far, over all files.
    pub bytes: u64,
    /// Engines seen so far, sound or not.
    pub engines: usize,
}

impl Review {
    pub fn report(&mut self, finding: Finding) {
        self.count += 1;
        if self.kept.len() < KEPT {
            self.kept.push(finding);
        }
    }

    /// Whether any finding was made.
    pub fn is_clean(&self) -> bool {
        self.count == 0
    }

    pub fn into_findings(self) -> Findings {
        let mut kept = self.kept;
        kept.sort_by_key(|finding| finding.place);
        Findings { sources: self.sources, kept, count: self.count, is_cut: self.is_cut }
    }
}

/// The part of a line around a place, fit for a terminal, and where the caret goes in it.
fn crop(text: &str, line: Range<usize>, place: Place, window: (usize, usize)) -> (String, Range<usize>) {
    let start = boundary(text, place.start as usize).clamp(line.start, line.end);
    let end = boundary(text, place.end as usize).clamp(start, line.end);
    let lead = text[line.start..start].char_indices().rev().take(window.0).last();
    let from = lead.map_or(start, |(at, _)| line.start + at);
    let trail = text[start..line.end].char_indices().nth(window.1);
    let to = trail.map_or(line.end, |(at, _)| start + at);

    let mut shown = String::new();
    if from > line.start {
        shown.push('…');
    }
    shown.extend(text[from..start].chars().map(visible));
    let caret_start = shown.len();
    shown.extend(text[start..end.min(to)].chars().map(visible));
    let caret_end = shown.len();
    shown.extend(text[end.min(to)..to].chars().map(visible));
    if to < line.end {
        shown.push('…');
    }
    (shown, caret_start..caret_end)
}

/// Text from a plan between backticks, shortened, and unable to steer a terminal.
pub(super) fn quote(text: &str) -> String {
    let shown: String = text.chars().take(QUOTED).collect();
    let rest = if text.chars().nth(QUOTED).is_some() { "…" } else { "" };
    format!("`{}{rest}`", printable(&shown))
}

/// A character as it can be shown in a line. The renderer shows ASCII controls itself.
fn visible(character: char) -> char {
    if is_printable(character) || character.is_ascii() { character } else { char::REPLACEMENT_CHARACTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(text: &str, kept: Vec<Finding>) -> Findings {
        let mut review = Review { sources: vec![Source::of_text("a.csv", text)], ..Review::default() };
        for finding in kept {
            review.report(finding);
        }
        review.into_findings()
    }

    #[test]
    fn a_finding_shows_place_text_caret_and_remedy() {
        let place = Place::new(0, 6..8);
        let findings = findings_of("one\ntwö bad\n", vec![Finding::new(place, "what", "do this")]);
        let expected = "error: what\n --> a.csv:2:3\n  |\n2 | twö bad\n  |   ^\n  |\n  = help: do this\n\n\
                        1 finding; nothing was sent\n";
        assert_eq!(findings.render(false), expected);
    }

    #[test]
    fn a_finding_with_two_places_shows_both() {
        let finding = Finding::new(Place::new(0, 4..7), "twice", "keep one")
            .with_other(Place::new(0, 0..3), "first here");
        let page = findings_of("one\ntwo\n", vec![finding]).render(false);
        assert!(
            page.contains("a.csv:2:1") && page.contains("a.csv:1:1") && page.contains("first here"),
            "{page}"
        );
    }

    #[test]
    fn findings_beyond_a_hundred_are_counted_and_not_shown() {
        let one = Finding::new(Place::new(0, 0..1), "what", "do this");
        let page = findings_of("x\n", vec![one; 1_234]).render(false);
        assert_eq!(page.matches("error: what").count(), SHOWN);
        assert!(page.ends_with("and 1134 more\n\n1234 findings; nothing was sent\n"), "{page}");
    }

    #[test]
    fn a_review_that_gave_up_counts_what_it_saw_and_says_so() {
        let review = Review { is_cut: true, count: 100_001, ..Review::default() };
        let page = review.into_findings().render(false);
        assert!(page.ends_with("at least 100,001 findings; nothing was sent\n"), "{page}");
    }

    #[test]
    fn a_long_line_is_shown_only_around_its_place() {
        let text = "x".repeat(1_000_000) + "BAD" + &"y".repeat(1_000_000);
        let place = Place::new(0, 1_000_000..1_000_003);
        let page = findings_of(&text, vec![Finding::new(place, "what", "do this")]).render(false);
        assert!(page.contains("a.csv:1:1000001") && page.contains("xBADy"), "{page}");
        assert!(page.contains("| …x") && page.contains("y…\n"), "{page}");
        assert!(page.len() < 1_000, "{page}");
    }

    #[test]
    fn text_from_a_plan_cannot_steer_the_terminal() {
        let text = "a\u{1b}[31m\u{9b}31m\u{202e}b";
        let finding = Finding::new(Place::new(0, 0..1), quote(text), "do this");
        let page = findings_of(text, vec![finding]).render(false);
        assert!(page.chars().all(|character| character == '\n' || is_printable(character)), "{page:?}");
    }

    #[test]
    fn color_appears_only_when_asked_for() {
        let one = Finding::new(Place::new(0, 0..1), "what", "do this");
        let findings = findings_of("x\n", vec![one]);
        assert!(findings.render(true).contains('\u{1b}'));
        assert!(!findings.render(false).contains('\u{1b}'));
    }
}
