//! Takes single fields out of a JSON file; an error tells their names and places, and never what they hold.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::cloud::credentials::CredentialsError;
use crate::cloud::credentials::file::wrong;

/// A JSON object in a file.
pub(super) struct Fields<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where this object stands in the file: empty, or a name and a dot.
    within: &'static str,
    /// Of fields with the same name the last one counts, as it does for tccli.
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The object that a file consists of.
    pub(super) fn of(path: &'a Path, text: &'a str) -> Result<Self, CredentialsError> {
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| {
            // the library's words for a syntax error speak of signs and brackets alone
            let told = error.to_string();
            let cause = told.split(" at line ").next().unwrap_or_default();
            flaw(path, error.line(), error.column(), &format!("this is not JSON: {cause}"))
        })?;
        Self { path, text, within: "", values: BTreeMap::new() }.inside(whole, "")
    }

    /// An object in this one, by its name and a dot; none where there is nothing.
    pub(super) fn object(&self, within: &'static str) -> Result<Option<Self>, CredentialsError> {
        let value = self.value(within.trim_end_matches('.'));
        value.map(|value| self.inside(value, within)).transpose()
    }

    fn inside(&self, value: &'a RawValue, within: &'static str) -> Result<Self, CredentialsError> {
        let values = serde_json::from_str(value.get()).map_err(|_| {
            let name = if within.is_empty() { "the whole" } else { within.trim_end_matches('.') };
            self.unfit(name, value, "an object in braces")
        })?;
        Ok(Self { path: self.path, text: self.text, within, values })
    }

    /// A text; an empty one counts as unset.
    pub(super) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, CredentialsError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text: String =
            serde_json::from_str(value.get()).map_err(|_| self.unfit(name, value, "a text in quotes"))?;
        Ok(Some(Zeroizing::new(text)).filter(|text| !text.is_empty()))
    }

    /// A moment in Unix seconds, perhaps with a fraction; zero counts as unset.
    pub(super) fn moment(&self, name: &str) -> Result<Option<i64>, CredentialsError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let whole = value.get().split('.').next().unwrap_or_default();
        let moment = whole.parse().map_err(|_| self.unfit(name, value, "a moment in Unix seconds"))?;
        Ok(Some(moment).filter(|moment| *moment != 0))
    }

    /// The names of services can be those of settings, so what is an object may be meant for a service.
    pub(super) fn text_unless_object(
        &self,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, CredentialsError> {
        match self.value(name) {
            Some(value) if value.get().starts_with('{') => Ok(None),
            _ => self.text(name),
        }
    }

    /// True where there is something by this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn value(&self, name: &str) -> Option<&'a RawValue> {
        self.values.get(name).copied().filter(|value| value.get() != "null")
    }

    fn unfit(&self, name: &str, value: &RawValue, wanted: &str) -> CredentialsError {
        // the value is a piece of the text, so the distance of their beginnings is its place
        let at = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..at).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.chars().rev().take_while(|sign| *sign != '\n').count();
        flaw(self.path, line, column, &format!("{}{name} is not {wanted}", self.within))
    }
}

fn flaw(path: &Path, line: usize, column: usize, what: &str) -> CredentialsError {
    // `tccli configure` reads the old file before it writes, and fails where it is broken
    wrong(
        path,
        format!("line {line}, column {column}: {what}: mend it, or remove it and let tccli make it anew"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, read: impl FnOnce(&Fields<'_>) -> Result<(), CredentialsError>) -> String {
        let path = Path::new("FILE");
        let read = Fields::of(path, text).and_then(|fields| read(&fields));
        let error = read.expect_err(text).to_string();
        assert!(error.starts_with("FILE: line ") && !error.contains("PRIV"), "{text}: {error}");
        error
    }

    #[test]
    fn fields_are_found_by_name_and_empty_ones_count_as_unset() {
        let text = r#"{"a": "x\"\u00e9", "b": "", "c": null, "d": 17, "e": 17.9, "f": 0, "a ": [{"a": 1}],
            "in": {"a": "inner"}, "null": null, "twice": "1", "twice": "2"}"#;
        let fields = Fields::of(Path::new("FILE"), text).expect("an object");
        let text = |name| fields.text(name).expect("sound").map(|text| text.to_string());
        assert_eq!(text("a").as_deref(), Some("x\"é"));
        assert_eq!((text("b"), text("c"), text("none")), (None, None, None));
        assert_eq!(text("twice").as_deref(), Some("2"));
        let moment = |name| fields.moment(name).expect("sound");
        assert_eq!(["d", "e", "f", "c"].map(moment), [Some(17), Some(17), None, None]);
        let inner = fields.object("in.").expect("sound").expect("there");
        assert_eq!(inner.text("a").expect("sound").expect("set").as_str(), "inner");
        assert!(fields.object("null.").expect("sound").is_none());
        assert!(fields.has("d") && !fields.has("c") && !fields.has("none"));
    }

    #[test]
    fn broken_json_is_told_by_line_and_column() {
        for (text, told) in [
            ("", "line 1, column 0: this is not JSON: EOF while parsing a value"),
            ("{\n \"a\": \"PRIVATE", "line 2, column 14: this is not JSON: EOF while parsing a string"),
            ("{\"a\": \"PRIVATE\" \"b\"}", "line 1, column 17: this is not JSON: expected `,` or `}`"),
            ("{\"a\": PRIVATE}", "line 1, column 7: this is not JSON: expected value"),
            ("{\"a\": 1} PRIVATE", "line 1, column 10: this is not JSON: trailing characters"),
            ("{'a': 'PRIVATE'}", "line 1, column 2: this is not JSON: key must be a string"),
        ] {
            let error = error(text, |_| Ok(()));
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_told_by_name_and_place_without_its_value() {
        let text = "{\n\"é\": 0, \"n\": 7770777,\n \"s\": \"PRIVATE\", \"l\": [\"PRIVATE\"], \"u\": \"\\ud800PRIVATE\"}";
        let wants_text = |name| error(text, |fields| fields.text(name).map(drop));
        assert!(
            wants_text("n").contains("line 2, column 14: n is not a text in quotes"),
            "{}",
            wants_text("n")
        );
        assert!(!wants_text("n").contains("777"));
        assert!(wants_text("l").contains("l is not a text"));
        assert!(wants_text("u").contains("u is not a text"));
        let moment = error(text, |fields| fields.moment("s").map(drop));
        assert!(moment.contains("line 3, column 7: s is not a moment in Unix seconds"), "{moment}");
        let object = error(text, |fields| fields.object("s.").map(drop));
        assert!(object.contains("line 3, column 7: s is not an object in braces"), "{object}");
        for whole in ["\"PRIVATE\"", "[\"PRIVATE\"]", "7", "null"] {
            let error = error(whole, |_| Ok(()));
            assert!(error.contains("line 1, column 1: the whole is not an object"), "{error}");
        }
        let inner = error("{\"dlc\": {\"endpoint\": 7}}", |fields| {
            fields.object("dlc.")?.map_or(Ok(None), |dlc| dlc.text("endpoint")).map(drop)
        });
        assert!(inner.contains("line 1, column 22: dlc.endpoint is not a text"), "{inner}");
    }
}
