//! Diagnostics of a plan, and how they are printed.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::source::{Source, Span, boundary};
use crate::format::{self, is_printable, printable};

/// Diagnostics that are shown; the rest is counted.
const SHOWN: usize = 100;
/// Bytes of a line that the renderer may see whole; it fits them to the terminal itself.
const LONG_LINE: usize = 2_000;
/// Characters of a longer line that are shown before and after its span.
const WINDOW: (usize, usize) = (50, 70);
/// Characters of an offending text that are quoted in a message.
const QUOTED: usize = 60;

/// Whether a diagnostic stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// One problem: where it is, what it is, and how to fix it.
#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    pub severity: Severity,
    pub span: Span,
    pub title: String,
    pub help: String,
    /// The other span that this one conflicts with, and its label.
    pub other: Option<(Span, &'static str)>,
}

impl Diagnostic {
    pub fn error(span: Span, title: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, title: title.into(), help: help.into(), other: None }
    }

    pub fn warning(span: Span, title: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, title, help) }
    }

    pub fn with_other(mut self, span: Span, label: &'static str) -> Self {
        self.other = Some((span, label));
        self
    }
}

/// Every diagnostic of a plan, with the files they point into.
#[derive(Clone)]
pub struct Diagnostics {
    pub(super) sources: Vec<Source>,
    /// In the order of files and spans; the first thousand.
    pub(super) kept: Vec<Diagnostic>,
    pub(super) errors: usize,
    pub(super) warnings: usize,
    /// True when a part of the plan was not reviewed.
    pub(super) is_cut: bool,
}

impl Diagnostics {
    /// The number of diagnostics, including those that [`Self::render`] only counts.
    pub fn len(&self) -> usize {
        self.errors + self.warnings
    }

    /// True when there is no diagnostic.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `1 error`, `2 errors, 1 warning`; `at least` so many where the review stopped before the end.
    pub(super) fn counted(&self) -> String {
        let counts = [(self.errors, "error"), (self.warnings, "warning")];
        let present = counts.into_iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> = present.map(|(count, noun)| format::plural(count, noun)).collect();
        let counted = counted.join(", ");
        if self.is_cut { format!("at least {counted}") } else { counted }
    }

    /// Each diagnostic with its file, line and column, the line with a caret, and the fix; then one closing line.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut page = String::new();
        for diagnostic in self.kept.iter().take(SHOWN) {
            page.push_str(&renderer.render(&[self.group(diagnostic)]));
            page.push_str("\n\n");
        }
        let more = self.len().saturating_sub(SHOWN);
        let rest = if more > 0 { format!("and {} more\n\n", format::count(more)) } else { String::new() };
        let effect = if self.errors > 0 { "; nothing was sent" } else { "" };
        page + &rest + &self.counted() + effect + "\n"
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let label = diagnostic.other.map(|_| "this one");
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(diagnostic.title.as_str()).elements(self.excerpt(
            diagnostic.span,
            AnnotationKind::Primary,
            label,
        ));
        if let Some((span, label)) = diagnostic.other {
            group = group.elements(self.excerpt(span, AnnotationKind::Context, Some(label)));
        }
        group.element(Level::HELP.message(diagnostic.help.as_str()))
    }

    /// The span in words, then the line with a caret.
    fn excerpt<'a>(&'a self, span: Span, kind: AnnotationKind, label: Option<&'a str>) -> Vec<Element<'a>> {
        let Some(source) = self.sources.get(span.file as usize) else { return Vec::new() };
        let location = source.location(span);
        let is_long = location.line_span.len() > LONG_LINE;
        let window = if is_long { WINDOW } else { (LONG_LINE, LONG_LINE) };
        let (line, caret) = crop(&source.text, location.line_span, span, window);
        let annotation: Annotation<'a> = kind.span(caret).label(label);
        let snippet = Snippet::source(line).line_start(location.line).annotation(annotation);
        if is_long {
            // the renderer would count the column from the part that it sees
            let origin =
                Origin::path(source.shown_path.as_str()).line(location.line).char_column(location.column);
            vec![origin.into(), snippet.into()]
        } else {
            vec![snippet.path(source.shown_path.as_str()).into()]
        }
    }
}

impl fmt::Debug for Diagnostics {
    /// The titles only: the files can be large.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.kept.iter().map(|diagnostic| &diagnostic.title)).finish()
    }
}

/// The part of a line around a span, fit for a terminal, and where the caret goes in it.
fn crop(text: &str, line: Range<usize>, span: Span, window: (usize, usize)) -> (String, Range<usize>) {
    let start = boundary(text, span.start as usize).clamp(line.start, line.end);
    let end = boundary(text, span.end as usize).clamp(start, line.end);
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

    fn diagnostics_of(text: &str, kept: Vec<Diagnostic>) -> Diagnostics {
        let errors = kept.len();
        Diagnostics {
            sources: vec![Source::of_text("a.csv", text)],
            kept,
            errors,
            warnings: 0,
            is_cut: false,
        }
    }

    #[test]
    fn a_diagnostic_shows_position_line_caret_and_fix() {
        let span = Span::new(0, 6..8);
        let diagnostics = diagnostics_of("one\ntwö bad\n", vec![Diagnostic::error(span, "what", "do this")]);
        let expected = "error: what\n --> a.csv:2:3\n  |\n2 | twö bad\n  |   ^\n  |\n  = help: do this\n\n\
                        1 error; nothing was sent\n";
        assert_eq!(diagnostics.render(false), expected);
    }

    #[test]
    fn a_diagnostic_with_two_spans_shows_both() {
        let diagnostic = Diagnostic::error(Span::new(0, 4..7), "twice", "keep one")
            .with_other(Span::new(0, 0..3), "first here");
        let page = diagnostics_of("one\ntwo\n", vec![diagnostic]).render(false);
        assert!(
            page.contains("a.csv:2:1") && page.contains("a.csv:1:1") && page.contains("first here"),
            "{page}"
        );
    }

    #[test]
    fn diagnostics_beyond_a_hundred_are_counted_and_not_shown() {
        let one = Diagnostic::error(Span::new(0, 0..1), "what", "do this");
        let page = diagnostics_of("x\n", vec![one; 1_234]).render(false);
        assert_eq!(page.matches("error: what").count(), SHOWN);
        assert!(page.ends_with("and 1134 more\n\n1234 errors; nothing was sent\n"), "{page}");
    }

    #[test]
    fn an_incomplete_review_counts_at_least_what_it_found() {
        let diagnostics = Diagnostics { is_cut: true, errors: 100_001, ..diagnostics_of("", vec![]) };
        assert!(diagnostics.render(false).ends_with("at least 100,001 errors; nothing was sent\n"));
    }

    #[test]
    fn warnings_are_labelled_and_counted_and_do_not_claim_that_nothing_was_sent() {
        let one = Diagnostic::warning(Span::new(0, 0..1), "what", "do this");
        let diagnostics = Diagnostics { errors: 0, warnings: 1, ..diagnostics_of("x\n", vec![one]) };
        let page = diagnostics.render(false);
        assert!(page.starts_with("warning: what\n") && page.ends_with("\n\n1 warning\n"), "{page}");
    }

    #[test]
    fn a_long_line_is_shown_only_around_its_span() {
        let text = "x".repeat(1_000_000) + "BAD" + &"y".repeat(1_000_000);
        let span = Span::new(0, 1_000_000..1_000_003);
        let page = diagnostics_of(&text, vec![Diagnostic::error(span, "what", "do this")]).render(false);
        assert!(page.contains("a.csv:1:1000001") && page.contains("xBADy"), "{page}");
        assert!(page.contains("| …x") && page.contains("y…\n"), "{page}");
        assert!(page.len() < 1_000, "{page}");
    }

    #[test]
    fn text_from_a_plan_cannot_steer_the_terminal() {
        let text = "a\u{1b}[31m\u{9b}31m\u{202e}b";
        let diagnostic = Diagnostic::error(Span::new(0, 0..1), quote(text), "do this");
        let page = diagnostics_of(text, vec![diagnostic]).render(false);
        assert!(page.chars().all(|character| character == '\n' || is_printable(character)), "{page:?}");
    }

    #[test]
    fn color_appears_only_when_asked_for() {
        let one = Diagnostic::error(Span::new(0, 0..1), "what", "do this");
        let diagnostics = diagnostics_of("x\n", vec![one]);
        assert!(diagnostics.render(true).contains('\u{1b}'));
        assert!(!diagnostics.render(false).contains('\u{1b}'));
    }
}
