//! The fields of a plan, and the shape that each value must have.

use super::diagnostic::quote;
use super::review::Review;
use super::source::Span;
use crate::format::{is_printable, read_duration};

/// Longest id, in characters. Ids of the service have about 20 (engines) and 36 (images).
const MAX_ID: usize = 128;
/// What the ids of engines begin with.
const ENGINE_PREFIX: &str = "DataEngine-";
/// Longest name of a wave, in characters.
const MAX_WAVE: usize = 64;
/// Longest id of an account, in digits.
const MAX_ACCOUNT: usize = 20;
/// Longest name of an engine, in characters.
const MAX_ENGINE_NAME: usize = 128;
/// Longest note, in characters.
const MAX_NOTE: usize = 500;

/// A column of a CSV plan, or a key of a YAML plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    DataEngineId,
    NewImageVersionId,
    Region,
    ExpectedImageVersionId,
    DataEngineName,
    Note,
    Wave,
    WaveName,
    Soak,
    From,
    Account,
}

impl Field {
    /// How a plan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataEngineId => "data_engine_id",
            Self::NewImageVersionId => "new_image_version_id",
            Self::Region => "region",
            Self::ExpectedImageVersionId => "expected_image_version_id",
            Self::DataEngineName => "data_engine_name",
            Self::Note => "note",
            Self::Wave => "wave",
            Self::WaveName => "name",
            Self::Soak => "soak",
            Self::From => "from",
            Self::Account => "account",
        }
    }

    /// What to write instead of a wrong value.
    pub fn help(self) -> &'static str {
        match self {
            Self::DataEngineId => "write the `DataEngineId`, for example `DataEngine-a1b2c3d4`",
            Self::NewImageVersionId => "write the `ImageVersionId` of the target",
            Self::ExpectedImageVersionId => {
                "write the `ImageVersionId` that the engine runs now, or leave it out"
            }
            Self::DataEngineName => {
                "write the name that the console shows, of at most 128 characters, or leave it out"
            }
            Self::Region => "write a region as the API does, for example `ap-guangzhou`",
            Self::Note => "write one line of at most 500 characters, or leave it out",
            Self::Wave | Self::WaveName => "write a name of at most 64 characters, for example `canary`",
            Self::Soak => "write a duration such as `30s`, `10m` or `24h`, of at most `168h`",
            Self::Account => "write the id of the main account, digits only, for example `100000000001`",
            Self::From => "write the path of a CSV file, relative to the directory of the plan",
        }
    }

    /// Why a text cannot be a value of this field, as a clause.
    pub fn fault(self, text: &str) -> Option<String> {
        match self {
            // the rest of an id whose cell was cut or filled down
            Self::DataEngineId if text == ENGINE_PREFIX => Some("nothing follows the prefix".to_owned()),
            Self::DataEngineId | Self::NewImageVersionId | Self::ExpectedImageVersionId => id_fault(text),
            Self::Region => (!is_region(text)).then(|| "it does not have the form of one".to_owned()),
            Self::DataEngineName => line_fault(text, MAX_ENGINE_NAME),
            Self::Note => line_fault(text, MAX_NOTE),
            Self::Wave | Self::WaveName => line_fault(text, MAX_WAVE),
            Self::Soak => read_duration(text).err().map(str::to_owned),
            Self::From => line_fault(text, usize::MAX),
            Self::Account => account_fault(text),
        }
    }
}

/// A value and its position.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub text: String,
    pub span: Span,
}

impl Value {
    /// Reads a written value and reports problems. The result is empty if there was no value, else the best reading of
    /// it, for the review to go on with.
    pub fn read(review: &mut Review, field: Field, written: &str, span: Span) -> Self {
        let text = written.trim();
        let name = quote(field.name());
        if text.is_empty() {
            review.error(span, format!("{name} is empty"), field.help());
        } else if text.len() < written.len() && field != Field::Note {
            let title = format!("{name} has white space around {}", quote(text));
            review.error(span, title, "remove the white space");
        }
        if let Some(fault) = field.fault(text).filter(|_| !text.is_empty()) {
            let article = if field.name().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            let title = format!("{} cannot be {article} {name}: {fault}", quote(text));
            review.error(span, title, field.help());
        }
        Self { text: text.to_owned(), span }
    }
}

/// Ids are opaque, but the service uses printable ASCII only.
fn id_fault(text: &str) -> Option<String> {
    if let Some(strange) = text.chars().find(|character| !character.is_ascii_graphic()) {
        return Some(if strange.is_whitespace() {
            "it contains white space".to_owned()
        } else {
            format!("it contains U+{:04X}", u32::from(strange))
        });
    }
    // texts of the service are escaped with backslashes, and an escaped text is not an id
    if text.contains('\\') {
        return Some("it contains a backslash".to_owned());
    }
    too_long(text, MAX_ID)
}

/// Accounts have ten to twelve digits; the maximum is not documented.
fn account_fault(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("it contains other characters than digits".to_owned());
    }
    too_long(text, MAX_ACCOUNT)
}

fn line_fault(text: &str, limit: usize) -> Option<String> {
    if text.contains(char::is_control) {
        return Some("it contains a control character or a line break".to_owned());
    }
    if let Some(strange) = text.chars().find(|character| !is_printable(*character)) {
        return Some(format!("it contains U+{:04X}, which is not printable", u32::from(strange)));
    }
    too_long(text, limit)
}

fn too_long(text: &str, limit: usize) -> Option<String> {
    let length = text.chars().count();
    (length > limit).then(|| format!("it has {length} characters and may have {limit}"))
}

/// Whether an engine id has the form that every documented one has: eight lower-case letters or digits after the prefix.
pub(super) fn is_usual_engine_id(text: &str) -> bool {
    let lower_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.strip_prefix(ENGINE_PREFIX).is_some_and(|rest| rest.len() == 8 && rest.bytes().all(lower_or_digit))
}

/// Whether an image version id is a UUID, as every documented one is.
pub(super) fn is_usual_image_version_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a text has the shape of a region: `ap-guangzhou`, `na-siliconvalley`, `ap-shanghai-fsi`. Only the
/// service knows which regions exist.
pub fn is_region(text: &str) -> bool {
    let Some((area, rest)) = text.split_once('-') else { return false };
    area.len() >= 2
        && area.bytes().all(|byte| byte.is_ascii_lowercase())
        && !rest.is_empty()
        && text.len() <= MAX_ID
        && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_an_area_and_a_place_in_lower_case() {
        for good in ["ap-guangzhou", "na-siliconvalley", "ap-shanghai-fsi", "eu-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in
            ["guangzhou", "a-b", "ap-", "AP-guangzhou", "ap_guangzhou", "ap-Guangzhou", "ap-g z", "4p-x"]
        {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn ids_are_printable_ascii_of_bounded_length() {
        assert_eq!(id_fault("DataEngine-a1b2c3d4"), None);
        assert_eq!(id_fault(&"x".repeat(128)), None);
        assert_eq!(id_fault("a b").as_deref(), Some("it contains white space"));
        assert_eq!(id_fault("a\u{200b}b").as_deref(), Some("it contains U+200B"));
        assert_eq!(id_fault(r"a\u{200b}b").as_deref(), Some("it contains a backslash"));
        assert!(id_fault(&"x".repeat(129)).is_some());
    }

    #[test]
    fn names_and_notes_are_one_line_that_is_seen_whole() {
        for (text, sound) in [
            ("nightly reports", true),
            ("夜间 ÄÖ שלום", true),
            ("a\u{202e}b", false),
            ("a\u{200b}b", false),
            ("a\nb", false),
        ] {
            assert_eq!(Field::Note.fault(text).is_none(), sound, "{text:?}");
            assert_eq!(Field::Wave.fault(text).is_none(), sound, "{text:?}");
        }
    }

    #[test]
    fn an_engine_needs_more_than_the_prefix_of_its_id() {
        assert_eq!(Field::DataEngineId.fault("DataEngine-").as_deref(), Some("nothing follows the prefix"));
        assert_eq!(Field::DataEngineId.fault("DataEngine-a"), None);
    }
}
