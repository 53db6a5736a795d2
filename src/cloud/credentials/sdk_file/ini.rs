//! Reads keys of one section of an INI file, strictly: what could mean two things is refused by its line.
//!
//! A reader of our own: the crates for INI know no line of a value, repeat lines in their errors, and leave open what
//! the two SDKs read differently, such as quotes and comments behind values.

use zeroize::Zeroizing;

/// A value, and where it stands.
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) value: Zeroizing<String>,
}

/// What is wrong, and in which line; never what stands there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The values of two keys in a section. Keys are told apart without regard to case, as by Python; other keys and
/// other sections may be anything.
pub(super) fn values(text: &str, section: &str, keys: [&'static str; 2]) -> Result<[Option<Found>; 2], Flaw> {
    let mut found = [None, None];
    let mut inside: Option<bool> = None;
    let mut seen = false;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        let flaw = |what: &str| Flaw { line, what: what.to_owned() };
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| flaw("a section is written as [default]"))?;
            let is_it = name.trim() == section;
            if is_it && seen {
                return Err(flaw(&format!("there is a second section [{section}]: keep one of them")));
            }
            seen |= is_it;
            inside = Some(is_it);
            continue;
        }
        match inside {
            None => return Err(flaw(&format!("this stands in no section: write [{section}] above it"))),
            Some(false) => continue,
            Some(true) => {}
        }
        let (key, value) = content
            .split_once(['=', ':'])
            .ok_or_else(|| flaw("this is no key with its value: write one such as secret_id = …"))?;
        let Some(number) = keys.iter().position(|name| name.eq_ignore_ascii_case(key.trim_end())) else {
            continue;
        };
        if found[number].is_some() {
            return Err(flaw(&format!("there is a second {}: keep one of them", keys[number])));
        }
        let value = unquoted(value.trim())
            .ok_or_else(|| flaw(&format!("the quotes of {} do not match: leave them out", keys[number])))?;
        found[number] = Some(Found { line, value: Zeroizing::new(value.to_owned()) });
    }
    Ok(found)
}

/// A value without its quotes: the Go SDK takes them off, and no key has any.
fn unquoted(value: &str) -> Option<&str> {
    let quotes = ['"', '\''];
    let bare = quotes
        .iter()
        .find_map(|quote| value.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)))
        .unwrap_or(value);
    (!bare.contains(quotes)).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<[Option<(usize, String)>; 2], Flaw> {
        let values = values(text, "default", ["secret_id", "secret_key"])?;
        Ok(values.map(|found| found.map(|found| (found.line, found.value.to_string()))))
    }

    #[test]
    fn values_are_read_as_editors_and_both_sdks_write_them() {
        for (text, id, key) in [
            ("[default]\nsecret_id = a\nsecret_key = b", (2, "a"), (3, "b")),
            ("[default]\r\nsecret_id=a\r\nsecret_key=b\r\n", (2, "a"), (3, "b")),
            (
                "# x\n[other]\nsecret_id = x\n=\n\n[default]\nSecret_Key: \"b\"\nsecret_id='a'\n",
                (8, "a"),
                (7, "b"),
            ),
            (
                "[default]\n  secret_id = a\n; x\nrole_arn = x\n\tsecret_key = b=#;c==\n",
                (2, "a"),
                (5, "b=#;c=="),
            ),
            ("[default]\nsecret_id = a\nsecret_key = b\n[next]\nsecret_id = x\nnonsense", (2, "a"), (3, "b")),
        ] {
            let pair = |(line, value): (usize, &str)| Some((line, value.to_owned()));
            assert_eq!(read(text), Ok([pair(id), pair(key)]), "{text}");
        }
    }

    #[test]
    fn another_section_and_an_empty_file_have_nothing() {
        for text in ["", "\n\n", "# secret_id = a", "[DEFAULT]\nsecret_id = a", "[default]\nrole_arn = a"] {
            assert_eq!(read(text), Ok([None, None]), "{text}");
        }
        assert_eq!(
            read("[default]\nsecret_id =\nsecret_key = ''"),
            Ok([Some((2, String::new())), Some((3, String::new()))])
        );
    }

    #[test]
    fn what_could_mean_two_things_is_refused_by_its_line_and_not_shown() {
        for (text, line, what) in [
            ("secret_id = PRIVATE", 1, "write [default] above"),
            ("\n[default\nsecret_id = PRIVATE", 2, "[default]"),
            ("[default] # PRIVATE", 1, "[default]"),
            ("[default]\nPRIVATE", 2, "no key with its value"),
            ("[default]\nsecret_id = PRIVATE\nSECRET_ID = PRIVATE", 3, "second secret_id"),
            ("[default]\n[default]", 2, "second section"),
            ("[default]\nsecret_key = \"PRIVATE", 2, "quotes of secret_key"),
            ("[default]\nsecret_key = 'PRIVATE\"", 2, "quotes of secret_key"),
            ("[default]\nsecret_key = PRI\"VATE", 2, "quotes of secret_key"),
        ] {
            let flaw = read(text).expect_err(text);
            assert_eq!(flaw.line, line, "{text}");
            assert!(flaw.what.contains(what) && !flaw.what.contains("PRIV"), "{flaw:?}");
        }
    }
}
