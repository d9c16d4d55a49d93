//! The outside world as a list of answers; every call is recorded.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use assay::platform::ports::{Http, HttpRequest, HttpResponse, PortError, PortErrorKind};
use async_trait::async_trait;
use bytes::Bytes;

type Answer = Result<HttpResponse, PortError>;
type Answerer = Arc<dyn Fn(&HttpRequest) -> Option<Answer> + Send + Sync>;

/// Answers by what was laid for the URL; a call that nothing was laid for finds nobody there (`Unavailable`).
#[derive(Default)]
pub struct StubHttp {
    laid: Mutex<Vec<(String, VecDeque<Answer>)>>,
    answerer: Mutex<Option<Answerer>>,
    calls: Mutex<Vec<HttpRequest>>,
}

impl StubHttp {
    /// Answers the next call to exactly this URL; of several, the last one laid stays.
    pub fn lay(&self, url: &str, answer: Result<HttpResponse, PortError>) {
        let mut laid = self.laid.lock().unwrap();
        match laid.iter_mut().find(|(known, _)| known == url) {
            Some((_, answers)) => answers.push_back(answer),
            None => laid.push((url.to_owned(), VecDeque::from([answer]))),
        }
    }

    /// Status, headers and body for this URL.
    pub fn lay_response(&self, url: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        self.lay(url, Ok(response(status, headers, body)));
    }

    pub fn lay_outage(&self, url: &str) {
        self.lay(url, Err(PortError::new("stub", PortErrorKind::Unavailable)));
    }

    /// Asked before the laid answers; `None` passes on to them.
    pub fn answer_with(&self, answerer: impl Fn(&HttpRequest) -> Option<Result<HttpResponse, PortError>> + Send + Sync + 'static) {
        *self.answerer.lock().unwrap() = Some(Arc::new(answerer));
    }

    /// Forgets every answer and every call.
    pub fn clear(&self) {
        self.laid.lock().unwrap().clear();
        *self.answerer.lock().unwrap() = None;
        self.calls.lock().unwrap().clear();
    }

    pub fn calls(&self) -> Vec<HttpRequest> {
        self.calls.lock().unwrap().clone()
    }

    /// `GET https://host/path?query` of every call.
    pub fn called(&self) -> Vec<String> {
        self.calls().iter().map(|call| format!("{} {}", format!("{:?}", call.method).to_uppercase(), call.url)).collect()
    }
}

pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect();
    HttpResponse { status, headers, body: body.into() }
}

#[async_trait]
impl Http for StubHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, PortError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        self.calls.lock().unwrap().push(request.clone());
        let answerer = self.answerer.lock().unwrap().clone();
        let answer = answerer.and_then(|answer| answer(&request)).unwrap_or_else(|| {
            let mut laid = self.laid.lock().unwrap();
            match laid.iter_mut().find(|(url, _)| *url == request.url.as_str()) {
                Some((_, answers)) if answers.len() > 1 => answers.pop_front().unwrap(),
                Some((_, answers)) => answers[0].clone(),
                None => Err(PortError::new(host.clone(), PortErrorKind::Unavailable)),
            }
        })?;
        if answer.body.len() > request.max_response_bytes {
            return Err(PortError::new(host, PortErrorKind::TooLarge));
        }
        Ok(answer)
    }
}
