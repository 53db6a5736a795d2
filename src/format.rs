//! Formats numbers, durations, and texts from outside for messages.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

/// The longest duration that is accepted; more is probably a typing error.
const LONGEST_DURATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A count with its noun: `1 engine`, `3 engines`, `2 retries`, `12,000 switches`.
pub fn plural(number: usize, noun: &str) -> String {
    let count = count(number);
    if number == 1 {
        return format!("{count} {noun}");
    }
    let vowel_before_y = ["ay", "ey", "oy", "uy"].iter().any(|ending| noun.ends_with(ending));
    if let Some(stem) = noun.strip_suffix('y').filter(|_| !vowel_before_y) {
        return format!("{count} {stem}ies");
    }
    let hisses = ["s", "x", "ch", "sh"].iter().any(|ending| noun.ends_with(ending));
    format!("{count} {noun}{}", if hisses { "es" } else { "s" })
}

/// A count; from 10,000 on with separators.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    if number < 10_000 {
        return digits;
    }
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in the one style of every output, which [`read_duration`] reads too: `40ms`, `0.7s`, `12s`, `3m20s`,
/// `2h5m`. Rounded to what matters at its length.
pub fn duration(span: Duration) -> String {
    if span < Duration::from_millis(50) {
        return if span.is_zero() { "0s".into() } else { format!("{}ms", span.as_millis().max(1)) };
    }
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 100 {
        let (whole, tenth) = (tenths / 10, tenths % 10);
        return if tenth == 0 { format!("{whole}s") } else { format!("{whole}.{tenth}s") };
    }
    let seconds = (span.as_millis() + 500) / 1000;
    if seconds < 60 {
        return format!("{seconds}s");
    }
    if seconds < 3600 {
        return pair(seconds / 60, "m", seconds % 60, "s");
    }
    let minutes = (seconds + 30) / 60;
    pair(minutes / 60, "h", minutes % 60, "m")
}

/// Parses a duration such as `10s`, `1m30s` or `500ms`. The error is a clause: the reason.
pub fn read_duration(text: &str) -> Result<Duration, &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it has no unit");
    }
    let span: SignedDuration = text.parse().map_err(|_| "it is not a duration")?;
    let span = Duration::try_from(span).map_err(|_| "it is negative")?;
    if span > LONGEST_DURATION { Err("it is longer than 7 days") } else { Ok(span) }
}

/// An estimated duration, rounded up to whole seconds, and from one minute on to ten seconds.
pub fn about(span: Duration) -> String {
    let seconds = u64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    duration(Duration::from_secs(if seconds < 60 {
        seconds
    } else {
        seconds.div_ceil(10).saturating_mul(10)
    }))
}

fn pair(large: u128, large_unit: &str, small: u128, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

/// Elapsed time as a clock shows it: `0:12`, `12:05`, `1:02:03`.
pub fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// Requests per second: `19.6/s`.
pub fn per_second(rate: f64) -> String {
    format!("{rate:.1}/s")
}

/// A text from outside on one line: control characters, marks that change the writing direction, and invisible
/// characters are escaped, as `\n` or `\u{1b}`. Call it where the text enters; it is idempotent.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_printable(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    shown
}

/// False for control characters (C0, DEL, C1), line and paragraph separators, marks that change the writing direction,
/// and invisible characters that make two different texts look the same. The two joiners (U+200C, U+200D) are printable:
/// Persian words and some emoji need them.
pub fn is_printable(letter: char) -> bool {
    let invisible = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !invisible
}

/// A path for messages, not for opening the file.
pub fn shown_path(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// A printable text from outside, for use inside a sentence: in quotes, without HTML tags or escaped line ends, at most
/// `longest` characters. The middle is cut: errors state the event first and the cause last.
pub fn quoted(text: &str, longest: usize) -> String {
    let text = [r"\r", r"\n", r"\t"].iter().fold(text.to_owned(), |text, escape| text.replace(escape, " "));
    let text = without_tags(&text).split_whitespace().collect::<Vec<_>>().join(" ").replace('"', "'");
    let length = text.chars().count();
    if length <= longest {
        return format!("\"{text}\"");
    }
    let head = longest / 3;
    let tail = longest.saturating_sub(head + 1);
    let (first, last): (String, String) =
        (text.chars().take(head).collect(), text.chars().skip(length - tail).collect());
    format!("\"{first}…{last}\"")
}

/// The text with a blank in place of each HTML tag, even an incomplete one.
fn without_tags(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        kept.push_str(before);
        if tag[1..].starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '/' || sign == '!') {
            kept.push(' ');
            rest = tag.find('>').map_or("", |end| &tag[end + 1..]);
        } else {
            kept.push('<');
            rest = &tag[1..];
        }
    }
    kept + rest
}

/// The text, cut to at most `longest` characters, the last one an ellipsis.
pub fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(longest.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// An argument quoted for a POSIX shell. Characters that cannot be shown are escaped between `$'` and `'`, as bash, zsh
/// and ksh read it.
pub fn for_shell(argument: &str) -> String {
    // a flag reads best with only its value quoted
    if let Some((flag, value)) = argument.split_once('=').filter(|(flag, _)| is_flag(flag)) {
        return format!("{flag}={}", if value.is_empty() { String::new() } else { for_shell(value) });
    }
    match shlex::try_quote(argument) {
        Ok(quoted) if argument.chars().all(is_printable) => quoted.into_owned(),
        _ => format!("$'{}'", argument.chars().map(in_ansi_c_quotes).collect::<String>()),
    }
}

fn is_flag(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.strip_prefix("--").is_some_and(|name| !name.is_empty() && name.bytes().all(is_plain))
}

fn in_ansi_c_quotes(letter: char) -> String {
    match letter {
        '\'' | '\\' => format!("\\{letter}"),
        letter if is_printable(letter) => letter.to_string(),
        letter => format!("\\U{:08x}", u32::from(letter)),
    }
}

/// A count as a float; larger ones than `u32::MAX` are capped.
pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // writing into a String cannot fail
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_get_their_plural() {
        let cases = [
            (0, "engine", "0 engines"),
            (1, "engine", "1 engine"),
            (3, "engine", "3 engines"),
            (1, "retry", "1 retry"),
            (2, "retry", "2 retries"),
            (2, "day", "2 days"),
            (2, "switch", "2 switches"),
            (12_000, "row", "12,000 rows"),
        ];
        for (number, noun, words) in cases {
            assert_eq!(plural(number, noun), words);
        }
    }

    #[test]
    fn counts_get_separators_from_ten_thousand_on() {
        assert_eq!(count(9_999), "9999");
        assert_eq!(count(10_000), "10,000");
        assert_eq!(count(123_456), "123,456");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn durations_have_one_style() {
        let cases = [
            (0, "0s"),
            (40, "40ms"),
            (700, "0.7s"),
            (2_000, "2s"),
            (9_949, "9.9s"),
            (9_960, "10s"),
            (12_000, "12s"),
            (59_600, "1m"),
            (200_000, "3m20s"),
            (180_000, "3m"),
            (3_600_000, "1h"),
            (7_500_000, "2h5m"),
        ];
        for (ms, words) in cases {
            assert_eq!(duration(Duration::from_millis(ms)), words, "{ms} ms");
        }
    }

    #[test]
    fn durations_are_parsed() {
        let good = [("1m30s", 90_000), ("500ms", 500), ("0s", 0), ("10m", 600_000), ("168h", 604_800_000)];
        for (text, ms) in good {
            assert_eq!(read_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        let bad = [
            ("", "it is not a duration"),
            ("soon", "it is not a duration"),
            ("8d", "it is not a duration"),
            ("999999999999999999h", "it is not a duration"),
            ("10", "it has no unit"),
            ("0", "it has no unit"),
            ("-5s", "it is negative"),
            ("169h", "it is longer than 7 days"),
            ("168h1ns", "it is longer than 7 days"),
        ];
        for (text, fault) in bad {
            assert_eq!(read_duration(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn estimates_are_rounded_up() {
        assert_eq!(about(Duration::from_millis(4_300)), "5s");
        assert_eq!(about(Duration::from_secs(59)), "59s");
        assert_eq!(about(Duration::from_millis(61_400)), "1m10s");
    }

    #[test]
    fn the_clock_shows_hours_only_when_there_are_any() {
        assert_eq!(clock(Duration::from_secs(12)), "0:12");
        assert_eq!(clock(Duration::from_secs(725)), "12:05");
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
    }

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        assert_eq!(printable("a\r\n\tb\u{1b}[31m c\u{7}\u{202e}d"), r"a\r\n\tb\u{1b}[31m c\u{7}\u{202e}d");
        assert_eq!(
            printable("\0\u{7f}\u{9b}\u{ad}\u{200b}\u{feff}"),
            r"\u{0}\u{7f}\u{9b}\u{ad}\u{200b}\u{feff}"
        );
        for plain in ["", r"C:\n 'a' \u{1b}", "夜间 ÄÖ שלום", "می\u{200c}خواهم", "👨\u{200d}🚀"]
        {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn hex_keeps_leading_zeros() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa5]), "000fa5");
        assert_eq!(hex(&[]), "");
    }

    #[test]
    fn a_quoted_text_has_no_tags_and_is_cut_in_the_middle() {
        let page = r"HTTP 502: <html>\r\n<head><title>Bad Gateway</title></head>\n<body class=";
        assert_eq!(quoted(page, 80), "\"HTTP 502: Bad Gateway\"");
        assert_eq!(quoted("{\"Response\": {\"Err", 80), "\"{'Response': {'Err\"");
        assert_eq!(quoted("1 < 2, <- and <", 80), "\"1 < 2, <- and <\"");
        let long = format!("sending failed{}: reset by peer", ": client error".repeat(20));
        let short = quoted(&long, 80);
        assert!(short.starts_with("\"sending failed: ") && short.ends_with(": reset by peer\""), "{short}");
        assert_eq!(short.chars().count(), 82);
    }

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        for (argument, typed) in [
            ("plans/fleet.csv", "plans/fleet.csv"),
            ("", "''"),
            ("my plan.csv", "'my plan.csv'"),
            ("--simulate=my plan.yaml", "--simulate='my plan.yaml'"),
            ("it's", "\"it's\""),
            ("$HOME;rm", "'$HOME;rm'"),
            ("a'\\\u{1b}\u{202e}b\n", r"$'a\'\\\U0000001b\U0000202eb\U0000000a'"),
        ] {
            assert_eq!(for_shell(argument), typed);
        }
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis() {
        assert_eq!(cut("canary", 6), "canary");
        assert_eq!(cut("canaries", 6), "canar…");
    }
}
