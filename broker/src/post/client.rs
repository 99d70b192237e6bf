//! One POST to the receiver, and what became of it.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderMap, RETRY_AFTER},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use crate::metrics::WebhookAttempt;

/// How long a connection that nobody uses is kept: shorter than most servers keep it.
const IDLE: Duration = Duration::from_secs(4);

/// What the head of an answer may have in bytes.
const HEAD: usize = 64 * 1024;

/// Connections to a receiver; as many are kept open as calls are made side by side.
pub(crate) struct Receiver {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    response_size: usize,
}

/// Why a POST brought no reply.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: WebhookAttempt,
    /// A sentence for the log.
    pub(crate) why: String,
    /// How long the receiver asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    fn new(kind: WebhookAttempt, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), retry_after: None }
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(WebhookAttempt::TimedOut, "the receiver did not answer in time")
    }

    /// Whether the same POST may go through later.
    pub(crate) fn is_temporary(&self) -> bool {
        use WebhookAttempt::{Busy, ServerError, TimedOut, Unreachable};
        matches!(self.kind, Unreachable | TimedOut | Busy | ServerError)
    }
}

impl Receiver {
    /// Connects with these trusted certificates, or those of the system; nothing is opened yet.
    pub(crate) fn new(
        connections: usize,
        response_size: usize,
        is_https: bool,
        ca_file: Option<&Path>,
    ) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let roots = if is_https { trusted(ca_file)? } else { RootCertStore::empty() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .http1_max_buf_size(HEAD)
            .build(connector);
        Ok(Self { client, response_size })
    }

    /// Sends a request and reads the whole answer; redirects are not followed.
    pub(crate) async fn post(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failure> {
        let response = self.client.request(request).await;
        let response =
            response.map_err(|error| Failure::new(WebhookAttempt::Unreachable, sentence(&error)))?;
        judge(&response)?;
        let body = Limited::new(response.into_body(), self.response_size).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => {
                let why = format!("the answer is larger than response_size, {} bytes", self.response_size);
                Failure::new(WebhookAttempt::TooLarge, why)
            }
            Err(error) => Failure::new(WebhookAttempt::Unreachable, sentence(&*error)),
        })
    }
}

/// Whether an answer is one that can be a reply.
fn judge(response: &Response<Incoming>) -> Result<(), Failure> {
    let status = response.status();
    let kind = match status {
        status if status.is_success() => return Ok(()),
        StatusCode::TOO_MANY_REQUESTS => WebhookAttempt::Busy,
        status if status.is_server_error() => WebhookAttempt::ServerError,
        _ => WebhookAttempt::Refused,
    };
    let why = format!("the receiver answered with status {}", status.as_u16());
    let retry_after = retry_after(response.headers(), SystemTime::now());
    Err(Failure { kind, why, retry_after })
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// An error with its causes; libraries say the least in the outermost.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(
                "the system has no trusted certificates: install ca-certificates, or give ca_file".into()
            );
        }
        return Ok(roots);
    };
    let wrong = |why: &dyn std::fmt::Display| format!("ca_file {} cannot be used: {why}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate; write them in PEM"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_receiver_says_in_seconds_or_by_a_date_when_to_come_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let asked = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            retry_after(&headers, now)
        };
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("Sun, 09 Sep 2001 01:46:50 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asked("Sat, 09 Sep 2000 01:46:50 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_file_of_certificates_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(trusted(Some(&path)).unwrap_err().contains("ca.pem"));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(trusted(Some(&path)).unwrap_err().contains("no certificate"));
    }
}
