//! One call of API 3.0 over HTTPS: signed, sent once, and its response read. Never waits and never repeats a request.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, ClientBuilder, Request, Response, redirect, retry, tls};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::credentials::keys::{Credentials, REDACTED};
use super::endpoint::Endpoint;
use super::error::{CallError, Refusal};
use super::network::Network;
use super::service_clock::{Arrival, ServiceClock, unix_seconds};
use super::sign::Signable;
use super::transport_error;
use super::wire::{ApiResponse, ResponseError, parse_response};
use crate::format;
use crate::job::DataEngineId;

/// Lower case and without a charset, so that the bytes sent and the bytes signed agree.
const JSON: &str = "application/json";

/// Value of `X-TC-RequestClient`, which identifies the client.
const REQUEST_CLIENT: &str = concat!("dlc-fleet_", env!("CARGO_PKG_VERSION"));

/// Replaces the signature of a caller without keys (vendor's Python SDK, `abstract_client.py`).
const UNSIGNED: &str = "SKIP";

/// Most characters of a content type in messages.
const MAX_CONTENT_TYPE: usize = 60;

/// The code for a signature whose time differs from that of the service.
const SIGNATURE_EXPIRE: &str = "AuthFailure.SignatureExpire";

/// Longest wait for a connection, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The service closes idle connections, and the vendor's Go SDK drops them after 30 s. Dropping them earlier avoids a
/// request on a connection that is being closed, which leaves the request unconfirmed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// One host of API 3.0. Clones share their connections.
#[derive(Clone, Debug)]
pub struct SignedClient {
    client: Client,
    endpoint: Endpoint,
    clock: Arc<ServiceClock>,
}

/// The HTTPS client cannot be created, usually because there are no trusted CA certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot set up HTTPS: {cause}: {remedy}")]
pub struct HttpSetupError {
    /// The error of the TLS library.
    cause: String,
    /// What to do.
    remedy: String,
}

/// Initial size of the buffer for a response; it grows for the longest ones.
const INITIAL_BUFFER: usize = 64 * 1024;

/// What one call consists of beside its body. Not `Debug`, since it may contain a secret.
#[derive(Clone, Copy)]
pub(super) struct ApiCall<'a> {
    /// Name of the service in signatures, the same for every host form: `dlc`, `sts`.
    pub(super) service: &'static str,
    /// `X-TC-Version`
    pub(super) version: &'static str,
    /// `X-TC-Action`
    pub(super) action: &'static str,
    /// `X-TC-Region`
    pub(super) region: &'a str,
    /// The engine of the call, for the log.
    pub(super) engine: Option<&'a DataEngineId>,
    /// Largest response in bytes: the 50 MB that the service may send (document 306/75053) are too much memory for many
    /// calls at once.
    pub(super) max_response: usize,
    /// True if request or response contain secrets beside the keys, so that errors show nothing of a body.
    pub(super) confidential: bool,
    /// A secret in the body of the request, which the service may repeat.
    pub(super) secret: Option<&'a str>,
}

impl SignedClient {
    /// Creates the client; opens no connection. `request_timeout` limits a whole call, response included. The services
    /// of one site share a clock.
    pub fn new(
        endpoint: Endpoint,
        network: &Network,
        request_timeout: Duration,
        clock: Arc<ServiceClock>,
    ) -> Result<Self, HttpSetupError> {
        let builder = network.configure(&endpoint, client_builder(request_timeout));
        let client = builder.build().map_err(|error| HttpSetupError {
            cause: transport_error::chain(&error),
            remedy: network.missing_roots_remedy(),
        })?;
        Ok(Self { client, endpoint, clock })
    }

    /// The service's clock.
    pub(super) fn clock(&self) -> &Arc<ServiceClock> {
        &self.clock
    }

    /// One logged call. Without credentials it is sent unsigned.
    pub(super) async fn call<R: DeserializeOwned>(
        &self,
        call: ApiCall<'_>,
        credentials: Option<&Credentials>,
        body: &impl Serialize,
    ) -> Result<ApiResponse<R>, CallError> {
        let started = Instant::now();
        let result = match serde_json::to_vec(body) {
            Ok(body) => self.exchange(call, credentials, body).await,
            Err(error) => Err(CallError::NotSent { cause: error.to_string() }),
        };
        call.log(started.elapsed(), result.as_ref().map(|response| response.request_id.as_str()));
        result
    }

    async fn exchange<R: DeserializeOwned>(
        &self,
        call: ApiCall<'_>,
        credentials: Option<&Credentials>,
        body: Vec<u8>,
    ) -> Result<ApiResponse<R>, CallError> {
        let request = self.request(call, credentials, body)?;
        let sent = Instant::now();
        let response = self.client.execute(request).await.map_err(transport_error::without_response)?;
        let arrival = Arrival { at: unix_seconds(SystemTime::now()), round_trip: sent.elapsed() };
        let http_status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let problem = call.content_type_problem(response.headers().get(CONTENT_TYPE), credentials);
        let body = read(response, call.max_response).await?;
        let parsed = parse_response::<R>(&body).map(|response| ApiResponse {
            request_id: call.redact(&response.request_id, credentials),
            problem,
            ..response
        });
        parsed.map_err(|error| match error {
            ResponseError::Refused(refusal) => {
                let refusal = Refusal {
                    code: call.redact(&refusal.code, credentials),
                    message: call.redact(&refusal.message, credentials),
                    request_id: refusal.request_id.map(|id| call.redact(&id, credentials)),
                };
                self.refused(refusal, date.as_deref(), arrival)
            }
            ResponseError::Unreadable(problem) => {
                let mut cause = format!("HTTP {http_status}, {problem}");
                if !body.is_empty() && !call.confidential {
                    cause = format!("{cause}: {}", transport_error::excerpt(&body, credentials));
                }
                CallError::NoResponse { cause, http_status: Some(http_status) }
            }
        })
    }

    /// The error of a refusal. A response that refuses the time of a signature corrects the clock.
    fn refused(&self, mut refusal: Refusal, date: Option<&str>, arrival: Arrival) -> CallError {
        if refusal.code != SIGNATURE_EXPIRE {
            return CallError::Refused(refusal);
        }
        match self.clock.adjust(date, arrival) {
            Ok(()) => CallError::SignatureExpired(refusal),
            Err(why) => {
                refusal.message = format!("{}; {why}", refusal.message);
                CallError::Refused(refusal)
            }
        }
    }

    fn request(
        &self,
        call: ApiCall<'_>,
        credentials: Option<&Credentials>,
        body: Vec<u8>,
    ) -> Result<Request, CallError> {
        let headers = self.headers(call, credentials, &body).map_err(|error| CallError::NotSent {
            cause: format!("the region or a key cannot be sent in a header: {error}"),
        })?;
        let request = self.client.post(self.endpoint.url()).headers(headers).body(body);
        request.build().map_err(transport_error::without_response)
    }

    /// Signs `body`; content type and host are the only signed headers, as in the vendor's SDKs (document 1155/48995).
    fn headers(
        &self,
        call: ApiCall<'_>,
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

impl ApiCall<'_> {
    /// A text of the service without any secret of this call: the service may repeat the request.
    fn redact(self, text: &str, credentials: Option<&Credentials>) -> String {
        let text = credentials.map_or_else(|| text.to_owned(), |credentials| credentials.redact(text));
        match self.secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => text.replace(secret, REDACTED),
            None => text,
        }
    }

    /// What is wrong with the content type, in one clause. The service always sends JSON; a proxy in between may not.
    fn content_type_problem(
        self,
        content_type: Option<&HeaderValue>,
        credentials: Option<&Credentials>,
    ) -> Option<String> {
        let Some(content_type) = content_type else {
            return Some("the response has no content type".to_owned());
        };
        let text = String::from_utf8_lossy(content_type.as_bytes());
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence == JSON || essence == "text/json" || essence.ends_with("+json");
        let shown = || format::quoted(&format::printable(&self.redact(&text, credentials)), MAX_CONTENT_TYPE);
        (!is_json).then(|| format!("the content type of the response is {}, not JSON", shown()))
    }

    /// Logs the call: no headers, no keys.
    fn log(self, latency: Duration, result: Result<&str, &CallError>) {
        let Self { action, region, engine, .. } = self;
        let engine = engine.map(DataEngineId::as_str);
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(request_id) => {
                tracing::debug!(action, region, engine, latency_ms, request_id, "the service responded");
            }
            Err(CallError::Refused(refusal) | CallError::SignatureExpired(refusal)) => {
                let (code, request_id) = (refusal.code.as_str(), refusal.request_id.as_deref());
                tracing::debug!(
                    action,
                    region,
                    engine,
                    latency_ms,
                    request_id,
                    code,
                    "the service refused the call"
                );
            }
            Err(error) => tracing::debug!(action, region, engine, latency_ms, %error, "the call failed"),
        }
    }
}

/// A client that sends each request once and follows no redirects.
fn client_builder(request_timeout: Duration) -> ClientBuilder {
    // shorter than the whole call, so that "no connection" differs from "no response"
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

/// Reads the whole body, so that the connection can be used again, up to a limit.
async fn read(mut response: Response, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let http_status = Some(response.status().as_u16());
    // responses contain the keys of roles, so the buffer is wiped
    let mut body = Zeroizing::new(Vec::with_capacity(max_bytes.min(INITIAL_BUFFER)));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => {
                let cause = format!("the response is larger than {max_bytes} bytes");
                return Err(CallError::NoResponse { cause, http_status });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(CallError::NoResponse {
                    cause: transport_error::chain(&error.without_url()),
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
    fn headers_that_contain_secrets_are_marked_as_sensitive() {
        let client = SignedClient::new(
            Endpoint::default(),
            &Network::default(),
            Duration::from_secs(1),
            Arc::default(),
        );
        let token = Some(Zeroizing::new("TOKENEXAMPLE".to_owned()));
        let secret_key = Zeroizing::new("SECRETEXAMPLE".to_owned());
        let credentials = Credentials::new("AKIDEXAMPLE".to_owned(), secret_key, token);
        let call = ApiCall {
            service: "dlc",
            version: "v",
            action: "A",
            region: "ap-guangzhou",
            engine: None,
            max_response: 0,
            confidential: false,
            secret: None,
        };
        let headers = client.expect("a client").headers(call, Some(&credentials), b"{}").expect("headers");
        let marked: Vec<&str> =
            headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(marked, ["authorization", "x-tc-token"]);
    }
}
