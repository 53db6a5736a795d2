//! The few colours of the tool; the words carry the meaning, so that nothing is lost without colour.

use anstyle::{AnsiColor, Style};

use crate::job::Outcome;

const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const QUIET: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// As it should be.
pub fn good(text: &str) -> String {
    paint(GOOD, text)
}

/// Worth a look, may pass.
pub fn warn(text: &str) -> String {
    paint(WARN, text)
}

/// Needs somebody.
pub fn bad(text: &str) -> String {
    paint(BAD, text)
}

/// Less important than what is around it.
pub fn quiet(text: &str) -> String {
    paint(QUIET, text)
}

/// To be read first.
pub fn strong(text: &str) -> String {
    paint(STRONG, text)
}

/// Any text in the colour of an outcome.
pub fn as_outcome(outcome: Outcome, text: &str) -> String {
    match outcome {
        Outcome::Switched | Outcome::UpToDate | Outcome::Accepted => good(text),
        Outcome::Failed => bad(text),
        Outcome::TimedOut | Outcome::Unknown | Outcome::NotStarted => warn(text),
    }
}

/// The text without any colour.
#[cfg(test)]
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_painted_text_reads_the_same_without_colour() {
        for outcome in Outcome::ALL {
            let painted = as_outcome(outcome, outcome.word());
            assert_ne!(painted, outcome.word());
            assert_eq!(plain(&painted), outcome.word());
        }
    }
}
