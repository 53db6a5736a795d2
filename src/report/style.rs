//! The colours of the output. Every word reads the same without them.

use anstyle::{AnsiColor, Style};

use crate::job::Outcome;

const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const QUIET: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// For a success.
pub fn good(text: &str) -> String {
    styled(GOOD, text)
}

/// For what needs attention and may resolve itself.
pub fn warn(text: &str) -> String {
    styled(WARN, text)
}

/// For what needs action.
pub fn bad(text: &str) -> String {
    styled(BAD, text)
}

/// For what is less important than the text around it.
pub fn quiet(text: &str) -> String {
    styled(QUIET, text)
}

/// For what is to be read first.
pub fn strong(text: &str) -> String {
    styled(STRONG, text)
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
    fn a_styled_text_reads_the_same_without_colour() {
        for outcome in Outcome::ALL {
            let styled = as_outcome(outcome, outcome.word());
            assert_ne!(styled, outcome.word());
            assert_eq!(plain(&styled), outcome.word());
        }
    }
}
