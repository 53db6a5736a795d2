//! TC3-HMAC-SHA256, the signature of API 3.0 (document 1155/48995 and the vendor's signature v3 page).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::format::hex;
use zeroize::Zeroizing;

/// Name of the algorithm in the `Authorization` header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// Everything a signature covers. Header values are signed in lower case, so send them in lower case.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `dlc`, `sts`: the first label of every host form.
    pub service: &'a str,
    /// Signed headers as (lower-case name, value), sorted by name; `content-type` and `host` at least.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes of the body.
    pub body: &'a [u8],
    /// Unix seconds, as sent in `X-TC-Timestamp`.
    pub timestamp: i64,
}

impl Signable<'_> {
    /// The value of the `Authorization` header.
    pub fn authorization(&self, secret_id: &str, secret_key: &str) -> String {
        format!(
            "{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={names}, Signature={signature}",
            scope = self.scope(),
            names = self.signed_headers(),
            signature = self.signature(secret_key),
        )
    }

    /// Lower-case hex of the signature alone.
    pub fn signature(&self, secret_key: &str) -> String {
        let first_key = Zeroizing::new(format!("TC3{secret_key}"));
        self.signature_from_date_key(&keyed(first_key.as_bytes(), self.date().as_bytes()))
    }

    /// The signature from the key of the day on: the part of the derivation that no longer needs the secret.
    fn signature_from_date_key(&self, date_key: &[u8]) -> String {
        let service_key = keyed(date_key, self.service.as_bytes());
        let signing_key = keyed(&service_key, b"tc3_request");
        hex(&keyed(&signing_key, self.string_to_sign().as_bytes()))
    }

    /// The text whose hash the signature covers.
    pub fn canonical_request(&self) -> String {
        let mut text = String::from("POST\n/\n\n");
        for (name, value) in self.headers {
            // a write to a String cannot fail
            let _ = writeln!(text, "{name}:{}", value.trim().to_lowercase());
        }
        let _ = write!(text, "\n{}\n{}", self.signed_headers(), hex(&Sha256::digest(self.body)));
        text
    }

    /// The text that is signed.
    pub fn string_to_sign(&self) -> String {
        let hashed = hex(&Sha256::digest(self.canonical_request().as_bytes()));
        format!("{ALGORITHM}\n{}\n{}\n{hashed}", self.timestamp, self.scope())
    }

    /// `2025-01-03/dlc/tc3_request`
    pub fn scope(&self) -> String {
        format!("{}/{}/tc3_request", self.date(), self.service)
    }

    fn signed_headers(&self) -> String {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        names.join(";")
    }

    /// The UTC date of the timestamp. A timestamp outside the calendar has no date and cannot verify.
    fn date(&self) -> String {
        Timestamp::from_second(self.timestamp)
            .map(|moment| moment.strftime("%Y-%m-%d").to_string())
            .unwrap_or_default()
    }
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Signs one vector and returns (name, what differs).
    fn differences(vector: &Value) -> Vec<String> {
        let input = &vector["input"];
        let text = |name: &str| input[name].as_str().unwrap_or_default();
        let body = unhex(text("body_utf8_hex"));
        let action = text("action").to_lowercase();
        let headers: Vec<(&str, &str)> = text("signed_headers")
            .split(';')
            .map(|name| match name {
                "content-type" => (name, text("content_type")),
                "host" => (name, text("host")),
                "x-tc-action" => (name, action.as_str()),
                other => panic!("vector signs an unexpected header {other}"),
            })
            .collect();
        let signable = Signable {
            service: text("service"),
            headers: &headers,
            body: &body,
            timestamp: input["timestamp"].as_i64().expect("a timestamp"),
        };
        let key = text("secret_key");
        // the newest published example masks its keys and gives the key of the day instead
        let signature = match vector["input"]["secret_key"] {
            Value::Null => {
                let date_key = vector["expect"]["secret_date_hex"].as_str().expect("a key of the day");
                signable.signature_from_date_key(&unhex(date_key))
            }
            _ => signable.signature(key),
        };
        [
            ("canonical_request", signable.canonical_request()),
            ("string_to_sign", signable.string_to_sign()),
            ("signature", signature),
            ("authorization", signable.authorization(text("secret_id"), key)),
        ]
        .into_iter()
        .filter(|(field, ours)| vector["expect"][*field].as_str().is_some_and(|theirs| theirs != ours))
        .map(|(field, ours)| format!("{}: {field} is {ours}", vector["name"]))
        .collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn all_seventeen_vectors_are_reproduced() {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/vectors/tc3.json")).expect("vectors");
        let vectors = file["vectors"].as_array().expect("a list");
        assert_eq!(vectors.len(), 17);
        let differences: Vec<String> = vectors.iter().flat_map(differences).collect();
        assert_eq!(differences, Vec::<String>::new());
    }

    #[test]
    fn a_changed_byte_of_the_body_changes_the_signature() {
        let headers = [("content-type", "application/json"), ("host", "dlc.tencentcloudapi.com")];
        let sign = |body: &[u8]| {
            Signable { service: "dlc", headers: &headers, body, timestamp: 1_735_872_007 }.signature("K")
        };
        assert_ne!(sign(b"{}"), sign(b"{ }"));
    }
}
