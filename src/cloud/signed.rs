//! One call of API 3.0 over HTTPS: signed, sent once, read and judged. Never sleeps and never sends again.

mod failure;
mod service_clock;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, ClientBuilder, Request, Response, redirect, retry, tls};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::credentials::{Credentials, REDACTED};
use super::endpoint::Endpoint;
use super::network::Network;
use super::sign::Signable;
use super::wire::{self, Answered, Unanswered};
use super::{CallError, Refusal};
use crate::format;
use crate::job::DataEngineId;
pub use service_clock::ServiceClock;
use service_clock::{Came, unix_seconds};

/// Lower case and without a charset, so that the bytes sent and the bytes signed agree.
const JSON: &str = "application/json";

/// What `X-TC-RequestClient` tells the service about us.
const REQUEST_CLIENT: &str = concat!("dlc-fleet_", env!("CARGO_PKG_VERSION"));

/// Stands in place of a signature where the caller has no keys yet (vendor's Python SDK, `abstract_client.py`).
const UNSIGNED: &str = "SKIP";

/// Characters of a content type that are told.
const LONGEST_CONTENT_TYPE: usize = 60;

/// The code of a signature whose time is not the service's.
const SIGNATURE_EXPIRE: &str = "AuthFailure.SignatureExpire";

/// Longest wait for a connection, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The service closes idle connections by itself and the vendor's Go SDK drops them after 30 s. Letting go
/// earlier keeps a request from meeting a connection that is just being closed, which leaves its fate unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// One host of API 3.0. Clones share their connections.
#[derive(Clone, Debug)]
pub struct SignedClient {
    client: Client,
    endpoint: Endpoint,
    clock: Arc<ServiceClock>,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The TLS library found no roots to trust, or could not start.
    #[error("HTTPS cannot be set up: {cause}: {remedy}")]
    Setup {
        /// What the library said.
        cause: String,
        /// What to do next.
        remedy: String,
    },
}

/// Bytes that all but the longest answers have; more room is made where it is needed.
const USUAL_ANSWER: usize = 64 * 1024;

/// What one call is about. Not `Debug`, since there may be a secret in it.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// Name of the service in signatures, the same for every host form: `dlc`, `sts`.
    pub(super) service: &'static str,
    /// `X-TC-Version`
    pub(super) version: &'static str,
    /// `X-TC-Action`
    pub(super) action: &'static str,
    /// `X-TC-Region`
    pub(super) region: &'a str,
    /// The engine it concerns, for the log.
    pub(super) engine: Option<&'a DataEngineId>,
    /// Bytes of the answer that are read: the 50 MB that the service may send (document 306/75053) would be too much
    /// to hold for many calls at once.
    pub(super) largest: usize,
    /// True where request or answer hold secrets beside the keys, so that nothing of a body may be repeated.
    pub(super) hush: bool,
    /// A secret in the request's body, which the service may repeat.
    pub(super) secret: Option<&'a str>,
}

impl SignedClient {
    /// Sets up the client; opens no connection. `request_timeout` spans one whole call, answer included. Services of
    /// one site share a clock.
    pub fn new(
        endpoint: Endpoint,
        network: &Network,
        request_timeout: Duration,
        clock: Arc<ServiceClock>,
    ) -> Result<Self, HttpError> {
        let client = network.lead(&endpoint, client_builder(request_timeout)).build().map_err(|error| {
            HttpError::Setup { cause: failure::chain(&error), remedy: network.without_roots() }
        })?;
        Ok(Self { client, endpoint, clock })
    }

    /// The service's clock, as far as it is known.
    pub(super) fn clock(&self) -> &Arc<ServiceClock> {
        &self.clock
    }

    /// One call, start to end, told to the log. Without credentials it goes unsigned.
    pub(super) async fn call<A: DeserializeOwned>(
        &self,
        call: Call<'_>,
        credentials: Option<&Credentials>,
        body: &impl Serialize,
    ) -> Result<Answered<A>, CallError> {
        let begun = Instant::now();
        let result = match serde_json::to_vec(body) {
            Ok(body) => self.exchange(call, credentials, body).await,
            Err(error) => Err(CallError::NotSent { cause: error.to_string() }),
        };
        call.tell(begun.elapsed(), result.as_ref().map(|answered| answered.request_id.as_str()));
        result
    }

    async fn exchange<A: DeserializeOwned>(
        &self,
        call: Call<'_>,
        credentials: Option<&Credentials>,
        body: Vec<u8>,
    ) -> Result<Answered<A>, CallError> {
        let request = self.request(call, credentials, body)?;
        let left = Instant::now();
        let response = self.client.execute(request).await.map_err(failure::without_answer)?;
        let came = Came { at: unix_seconds(SystemTime::now()), after: left.elapsed() };
        let http_status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let problem = call.mislabelled(response.headers().get(CONTENT_TYPE), credentials);
        let body = read(response, call.largest).await?;
        let judged = wire::judge::<A>(&body).map(|answered| Answered {
            request_id: call.redact(&answered.request_id, credentials),
            problem,
            ..answered
        });
        judged.map_err(|unanswered| match unanswered {
            Unanswered::Refused(refusal) => {
                let refusal = Refusal {
                    code: call.redact(&refusal.code, credentials),
                    message: call.redact(&refusal.message, credentials),
                    request_id: refusal.request_id.map(|id| call.redact(&id, credentials)),
                };
                self.refused(refusal, date.as_deref(), came)
            }
            Unanswered::Unreadable { why } => {
                let mut cause = format!("HTTP {http_status}, {why}");
                if !body.is_empty() && !call.hush {
                    cause = format!("{cause}: {}", failure::excerpt(&body, credentials));
                }
                CallError::NoResponse { cause, http_status: Some(http_status) }
            }
        })
    }

    /// A refusal; where it was for the time of the signature, the answer may teach a better one.
    fn refused(&self, mut refusal: Refusal, date: Option<&str>, came: Came) -> CallError {
        if refusal.code != SIGNATURE_EXPIRE {
            return CallError::Refused(refusal);
        }
        match self.clock.learn(date, came) {
            Ok(()) => CallError::SignatureExpired(refusal),
            Err(why) => {
                refusal.message = format!("{}; {why}", refusal.message);
                CallError::Refused(refusal)
            }
        }
    }

    fn request(
        &self,
        call: Call<'_>,
        credentials: Option<&Credentials>,
        body: Vec<u8>,
    ) -> Result<Request, CallError> {
        let headers = self.headers(call, credentials, &body).map_err(|error| CallError::NotSent {
            cause: format!("the region or a key cannot stand in a header: {error}"),
        })?;
        let request = self.client.post(self.endpoint.url()).headers(headers).body(body);
        request.build().map_err(failure::without_answer)
    }

    /// Signs `body`; only content type and host are signed, as in the vendor's SDKs (document 1155/48995).
    fn headers(
        &self,
        call: Call<'_>,
        credentials: Option<&Credentials>,
        body: &[u8],
    ) -> Result<HeaderMap, InvalidHeaderValue> {
        let timestamp = self.clock.now();
        let host = self.endpoint.host_header();
        let signed = [("content-type", JSON), ("host", host)];
        let signable = Signable { service: call.service, headers: &signed, body, timestamp };
        let authorization = credentials.map_or_else(
            || UNSIGNED.to_owned(),
            |credentials| signable.authorization(credentials.secret_id(), credentials.secret_key()),
        );

        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(AUTHORIZATION, sensitive(&authorization)?);
        headers.insert("x-tc-action", HeaderValue::from_static(call.action));
        headers.insert("x-tc-version", HeaderValue::from_static(call.version));
        headers.insert("x-tc-timestamp", HeaderValue::from(timestamp));
        headers.insert("x-tc-region", HeaderValue::from_str(call.region)?);
        headers.insert("x-tc-language", HeaderValue::from_static("en-US"));
        headers.insert("x-tc-requestclient", HeaderValue::from_static(REQUEST_CLIENT));
        if let Some(token) = credentials.and_then(Credentials::token) {
            headers.insert("x-tc-token", sensitive(token)?);
        }
        Ok(headers)
    }
}

impl Call<'_> {
    /// What the service says, without any secret of this call: it may repeat what was sent to it.
    fn redact(self, text: &str, credentials: Option<&Credentials>) -> String {
        let text = credentials.map_or_else(|| text.to_owned(), |credentials| credentials.redact(text));
        match self.secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => text.replace(secret, REDACTED),
            None => text,
        }
    }

    /// What an answer is called where that is not JSON, in one clause: the service always calls it so, and whatever
    /// stands between here and there may not.
    fn mislabelled(
        self,
        content_type: Option<&HeaderValue>,
        credentials: Option<&Credentials>,
    ) -> Option<String> {
        let Some(content_type) = content_type else {
            return Some("the answer has no content type".to_owned());
        };
        let called = String::from_utf8_lossy(content_type.as_bytes());
        let essence = called.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence == JSON || essence == "text/json" || essence.ends_with("+json");
        let called =
            || format::quoted(&format::printable(&self.redact(&called, credentials)), LONGEST_CONTENT_TYPE);
        (!is_json).then(|| format!("the answer is called {}, not JSON", called()))
    }

    /// Tells the log how the call went: never headers, never keys.
    fn tell(self, latency: Duration, result: Result<&str, &CallError>) {
        let Self { action, region, engine, .. } = self;
        let engine = engine.map(DataEngineId::as_str);
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(request_id) => tracing::debug!(action, region, engine, latency_ms, request_id, "answered"),
            Err(CallError::Refused(refusal) | CallError::SignatureExpired(refusal)) => {
                let (code, request_id) = (refusal.code.as_str(), refusal.request_id.as_deref());
                tracing::debug!(action, region, engine, latency_ms, request_id, code, "refused");
            }
            Err(fault) => tracing::debug!(action, region, engine, latency_ms, %fault, "not answered"),
        }
    }
}

/// A client that sends what it is told, once, and follows nothing.
fn client_builder(request_timeout: Duration) -> ClientBuilder {
    // ends well before the whole call does, so that "never connected" is not mistaken for "never answered"
    let connect_timeout = CONNECT_TIMEOUT.min(request_timeout * 3 / 4);
    Client::builder()
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .timeout(request_timeout)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_version_min(tls::Version::TLS_1_2)
        .http1_only()
}

/// The whole body, so that the connection can be used again; no more of it than the service may send.
async fn read(mut response: Response, largest: usize) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let http_status = Some(response.status().as_u16());
    // keys of roles come in answers, and none of their bytes are to stay behind
    let mut body = Zeroizing::new(Vec::with_capacity(largest.min(USUAL_ANSWER)));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > largest => {
                let cause = format!("the answer is larger than {largest} bytes");
                return Err(CallError::NoResponse { cause, http_status });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(CallError::NoResponse {
                    cause: failure::chain(&error.without_url()),
                    http_status,
                });
            }
        }
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn headers_that_carry_secrets_are_marked() {
        let client = SignedClient::new(
            Endpoint::default(),
            &Network::default(),
            Duration::from_secs(1),
            Arc::default(),
        );
        let token = Some(Zeroizing::new("TOKENEXAMPLE".to_owned()));
        let secret_key = Zeroizing::new("SECRETEXAMPLE".to_owned());
        let credentials = Credentials::new("AKIDEXAMPLE".to_owned(), secret_key, token);
        let call = Call {
            service: "dlc",
            version: "v",
            action: "A",
            region: "ap-guangzhou",
            engine: None,
            largest: 0,
            hush: false,
            secret: None,
        };
        let headers = client.expect("a client").headers(call, Some(&credentials), b"{}").expect("headers");
        let marked: Vec<&str> =
            headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(marked, ["authorization", "x-tc-token"]);
    }
}
