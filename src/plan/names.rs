//! The columns and keys that a plan may have, and what to say about the others.

use super::finding::{Finding, Place, Review, quote};

/// Keys of the design whose behaviour does not exist yet. Refused, because a plan that asks for a pause or a
/// limit and does not get it is worse than no plan.
const NOT_BUILT: [&str; 4] = ["max_failures", "approval", "expect", "limits"];

/// The key of a wave that people may look for elsewhere: in CSV, or for all waves at once.
const SOAK: &str = "soak";

/// Reports a name that is not known here. Returns the known name that was probably meant, so that the review
/// can go on as if it stood there.
pub(super) fn report_unknown(
    review: &mut Review,
    kind: &str,
    name: &str,
    place: Place,
    known: &[&'static str],
) -> Option<&'static str> {
    if NOT_BUILT.contains(&name) {
        let title = format!("{} is part of the design but not built in this version", quote(name));
        review.report(Finding::new(place, title, format!("remove the {kind}: it would have no effect")));
        return None;
    }
    if name == SOAK {
        let title = format!("the {kind} {} belongs to a wave of a YAML plan", quote(name));
        let remedy = "write it beside the wave's `name` and `engines`, for example `soak: 10m`";
        review.report(Finding::new(place, title, remedy));
        return None;
    }
    if name == "<<" {
        let remedy = "write the keys out where they are meant";
        review.report(Finding::new(place, "merge keys (`<<`) are not accepted", remedy));
        return None;
    }
    let meant = nearest(name, known);
    let remedy = match meant {
        Some(meant) => format!("did you mean {}?", quote(meant)),
        None => format!("remove it; known here: {}", list(known)),
    };
    review.report(Finding::new(place, format!("unknown {kind} {}", quote(name)), remedy));
    meant
}

/// Whether a text of a first line may be meant as the name of a column. Ids and regions can come near a name, but
/// no name has a digit.
pub(super) fn may_be_name(text: &str, known: &[&'static str]) -> bool {
    let has_digit = text.contains(|character: char| character.is_ascii_digit());
    NOT_BUILT.contains(&text) || text == SOAK || (!has_digit && nearest(text, known).is_some())
}

/// Names as they are told to people.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// The known name that a person probably meant: few letters away, or part of what was written.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = plain(name);
    if name.is_empty() || name.len() > 64 {
        return None;
    }
    let (distance, closest) = known.iter().map(|known| (distance(&name, &plain(known)), *known)).min()?;
    if distance <= (name.len() / 3).max(1) {
        return Some(closest);
    }
    known.iter().copied().find(|known| name.len() > 3 && plain(known).contains(&name))
}

/// Letters and digits in lower case: `DataEngineId`, `data-engine-id` and `Data Engine ID` are the same.
fn plain(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How many letters must be changed, added or removed to make one word of the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["data_engine_id", "new_image_version_id", "region", "note"];

    #[test]
    fn the_distance_counts_changes_additions_and_removals() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_name_that_was_meant() {
        for (written, meant) in [
            ("data_engin_id", "data_engine_id"),
            ("Data Engine ID", "data_engine_id"),
            ("engine_id", "data_engine_id"),
            ("NewImageVersionID", "new_image_version_id"),
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
