//! Names of columns and keys: which are known, and what to suggest for the others.

use super::diagnostic::quote;
use super::field::Field;
use super::review::Review;
use super::source::Span;

/// Names that are known elsewhere in a plan, or in YAML, and the fix where they are not.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "soak",
        "`soak` is a key of a wave in a YAML plan: write it beside `name` and `engines`, as in `soak: 10m`",
    ),
    (
        "expect",
        "`expect` is a mapping at the top of a YAML plan; the image version that an engine runs now is \
         `expected_image_version_id`",
    ),
    ("<<", "merge keys are not supported: write the keys out"),
];

/// Reports an unknown name. Returns the known name that was probably meant, for the review to go on with.
pub(super) fn report_unknown(
    review: &mut Review,
    kind: &str,
    name: &str,
    span: Span,
    known: &[&'static str],
) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name);
    let meant = if elsewhere.is_some() { None } else { nearest(name, known) };
    let help = match (elsewhere, meant) {
        (Some((_, help)), _) => (*help).to_owned(),
        (None, Some(meant)) => format!("did you mean {}?", quote(meant)),
        (None, None) => format!("remove it; supported here: {}", list(known)),
    };
    review.error(span, format!("unknown {kind} {}", quote(name)), help);
    meant
}

/// The column of a header's name. Case, spaces, `_` and `-` do not matter, which includes the spellings of the API.
pub(super) fn column(name: &str, columns: &[Field]) -> Option<Field> {
    columns.iter().copied().find(|field| plain(field.name()) == plain(name))
}

/// Whether a text in the first line may be the name of a column. Ids and regions can be similar to a name, but no name
/// has a digit.
pub(super) fn may_be_column(text: &str, columns: &[Field]) -> bool {
    let names: Vec<_> = columns.iter().map(|field| field.name()).collect();
    let has_digit = text.contains(|letter: char| letter.is_ascii_digit());
    column(text, columns).is_some() || (!has_digit && nearest(text, &names).is_some())
}

/// Names for a message.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// The known name that was probably meant: a few letters away, or one that contains what was written.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = plain(name);
    if name.is_empty() || name.len() > 64 {
        return None;
    }
    let distance = |known: &&str| strsim::levenshtein(&name, &plain(known));
    let closest = known.iter().copied().min_by_key(distance)?;
    if distance(&closest) <= (name.len() / 3).max(1) {
        return Some(closest);
    }
    known.iter().copied().find(|known| name.len() > 3 && plain(known).contains(&name))
}

/// Letters and digits in lower case: `DataEngineId`, `data-engine-id` and `Data Engine ID` are the same.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["data_engine_id", "new_image_version_id", "region", "note"];

    #[test]
    fn a_misspelt_name_gets_the_nearest_known_name_as_suggestion() {
        for (written, meant) in [
            ("data_engin_id", "data_engine_id"),
            ("engine_id", "data_engine_id"),
            ("new_image_version", "new_image_version_id"),
            ("regoin", "region"),
            ("notes", "note"),
        ] {
            assert_eq!(nearest(written, &KNOWN), Some(meant), "{written}");
        }
        for written in ["owner", "", "价格", &"region".repeat(20)] {
            assert_eq!(nearest(written, &KNOWN), None, "{written}");
        }
    }
}
