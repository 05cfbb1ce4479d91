//! HTTP/1.1: HL7 v2 (`POST /hl7`) and FHIR R4 (`/fhir`) on one port.
//!
//! In the order in which they are looked at:
//!
//! | found | status |
//! |---|---|
//! | no feed or no resource at this path | 404 |
//! | another method than the resource has | 405, `Allow` |
//! | no token, or one that nobody knows | 401, `WWW-Authenticate` |
//! | the token of another feed | 403 |
//! | a content type or coding, or an answer asked for, that is not spoken | 415, 406 |
//! | a body over `max_body_bytes`, as announced, received or decompressed | 413 |
//! | a body that is not complete after `frame_timeout` | 408 |
//! | no memory left for it, the process ends, nothing can be stored now | 503, `Retry-After` |
//! | content: see [`accept`](crate::accept), [`hl7`] and [`fhir`] | |

mod answer;
mod auth;
mod body;
mod fhir;
mod hl7;
mod reader;
mod route;

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{Request, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::auth::Tokens;
use self::{
    answer::{Answer, Refusal},
    reader::Patient,
    route::{Resource, Route},
};
use super::{Shared, feed::OpenFeed, watched::Watched};

/// Buffer of a connection: bounds the head of a request, and what one read of a body brings.
const BUFFER: usize = 64 * 1024;
/// What a request whose body is still coming in gets when the process ends.
const GRACE: Duration = Duration::from_secs(5);
/// What an answer that is being written gets then.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The feeds that share an address.
pub(crate) struct Site(Arc<Inner>);

struct Inner {
    entries: Vec<Entry>,
    shared: Shared,
    /// FHIR bodies that are parsed at the same time: a parsed body is many times its bytes.
    parsing: Semaphore,
    parsers: u32,
    /// What goes on although its sender may be gone.
    running: TaskTracker,
}

/// A feed and who may send to it.
struct Entry {
    feed: Arc<OpenFeed>,
    tokens: Watched<Tokens>,
}

/// What a connection knows of its requests.
#[derive(Clone)]
struct Link {
    site: Arc<Inner>,
    busy: Arc<AtomicUsize>,
    shutdown: CancellationToken,
}

impl Site {
    /// Reads the tokens of the feeds.
    pub(crate) fn open(feeds: &[Arc<OpenFeed>], shared: &Shared) -> anyhow::Result<Self> {
        let open = |feed: &Arc<OpenFeed>| {
            let tokens = Tokens::open(&feed.feed.name, &feed.settings.http)?;
            Ok(Entry { feed: feed.clone(), tokens })
        };
        let entries = feeds.iter().map(open).collect::<anyhow::Result<_>>()?;
        let parsers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let inner = Inner {
            entries,
            shared: shared.clone(),
            parsing: Semaphore::new(parsers as usize),
            parsers,
            running: TaskTracker::new(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Serves a connection; why it ended.
    pub(crate) async fn serve<S>(&self, stream: S, shutdown: &CancellationToken) -> &'static str
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(first) = self.0.entries.first() else { return "no_feed" };
        let settings = &first.feed.settings;
        let busy = Arc::new(AtomicUsize::new(0));
        let link = Link { site: self.0.clone(), busy: busy.clone(), shutdown: shutdown.clone() };
        let mut server = http1::Builder::new();
        // Also bounds the pause between two requests.
        server
            .timer(TokioTimer::new())
            .header_read_timeout(settings.frame_timeout.get())
            .max_buf_size(BUFFER);
        let service = service_fn(move |request| {
            let link = link.clone();
            async move { Ok::<_, Infallible>(link.serve(request).await) }
        });
        let mut connection = pin!(
            server
                .serve_connection(TokioIo::new(Patient::new(stream, settings.frame_timeout.get())), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = shutdown.cancelled() => None,
        };
        match ended {
            Some(Ok(())) => "sender",
            Some(Err(error)) if error.is_timeout() => "frame_timeout",
            Some(Err(error)) if error.is_parse() => "no_http",
            Some(Err(_)) => "broken",
            None => {
                connection.as_mut().graceful_shutdown();
                let is_busy = busy.load(Ordering::Acquire) > 0;
                let patience = if is_busy { GRACE + settings.ack_timeout.get() } else { LAST_WORDS };
                let _ = tokio::time::timeout(patience, connection).await;
                "shutdown"
            }
        }
    }

    /// Waits for what senders did not wait for.
    pub(crate) async fn finish(&self) {
        self.0.running.close();
        self.0.running.wait().await;
    }
}

impl Link {
    async fn serve(&self, request: Request<Incoming>) -> answer::HttpResponse {
        self.busy.fetch_add(1, Ordering::AcqRel);
        let request_id = request.headers().get("x-request-id").cloned();
        let speaks_fhir = !request.uri().path().ends_with(route::HL7);
        let answer = self.answer(request).await.unwrap_or_else(|refusal| refusal.answer(speaks_fhir));
        self.busy.fetch_sub(1, Ordering::AcqRel);
        answer.response(request_id)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let started = Instant::now();
        let Some((entry, rest)) = self.site.entry(request.uri().path()) else {
            let within = self.site.entries.first().map(|entry| entry.feed.settings.frame_timeout.get());
            return Err(refuse(Refusal::not_found(), request, within.unwrap_or_default()));
        };
        let result = self.answer_in(entry, rest, &request, started);
        let result = match result {
            Ok(Plan::Metadata) => Ok(fhir::metadata()),
            Ok(Plan::Take(resource)) => self.take(entry, resource, request, started).await,
            Err(refusal) => Err(refuse(refusal, request, entry.feed.settings.frame_timeout.get())),
        };
        if let Err(refusal) = &result {
            entry.feed.refuse_request(refusal.reason, refusal.status.as_u16());
        }
        result
    }

    /// What is to be done with a request, by its head.
    fn answer_in(
        &self,
        entry: &Entry,
        path: &str,
        head: &Request<Incoming>,
        now: Instant,
    ) -> Result<Plan, Refusal> {
        let route = Route::find(head.method(), path)?;
        let is_public = matches!(route, Route::Metadata) && entry.feed.settings.http.public_metadata;
        if !is_public {
            self.site.admit(entry, head, now)?;
        }
        match route {
            Route::Metadata => {
                route::wants_fhir(head)?;
                Ok(Plan::Metadata)
            }
            Route::Take(resource) => {
                if matches!(resource, Resource::Hl7) {
                    route::brings_hl7(head)?;
                } else {
                    route::wants_fhir(head)?;
                    route::brings_fhir(head)?;
                }
                Ok(Plan::Take(resource))
            }
        }
    }

    async fn take(
        &self,
        entry: &Entry,
        resource: Resource,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Answer, Refusal> {
        let (site, feed) = (self.site.clone(), entry.feed.clone());
        let (head, body) = request.into_parts();
        let received =
            body::read(&feed.settings, &site.shared.budget, &head.headers, body, &self.shutdown).await?;
        // Once it is all here it is stored, whether its sender waits or not.
        let work = async move {
            match resource {
                Resource::Hl7 => Ok(hl7::take(&site, &feed, &head, received, started).await),
                Resource::Fhir(interaction) => {
                    fhir::take(&site, feed, &head, interaction, received, started).await
                }
            }
        };
        self.site.running.spawn(work).await.unwrap_or_else(|_| Err(Refusal::defect()))
    }
}

/// What is done about the body of a request that is refused by its head. Who waits for `100 Continue` sends none: what
/// comes next on the connection could be taken for it, so it ends.
fn refuse(refusal: Refusal, request: Request<Incoming>, within: Duration) -> Refusal {
    if request.headers().contains_key(header::EXPECT) {
        return refusal.closing();
    }
    body::drain(request.into_body(), within);
    refusal
}

/// What is to be done with a request.
enum Plan {
    Metadata,
    Take(Resource),
}

impl Inner {
    /// The feed of a path, and what is left of it: the longest of the configured paths counts.
    fn entry<'a>(&self, path: &'a str) -> Option<(&Entry, &'a str)> {
        let rest = |entry: &Entry| {
            path.strip_prefix(entry.feed.settings.http.path.as_str()).filter(|rest| rest.starts_with('/'))
        };
        let found = self.entries.iter().filter_map(|entry| Some((entry, rest(entry)?)));
        found.min_by_key(|(_, rest)| rest.len())
    }

    /// Whether the sender may send to this feed.
    fn admit(&self, entry: &Entry, head: &Request<Incoming>, now: Instant) -> Result<(), Refusal> {
        let settings = &entry.feed.settings;
        let needs_token = !settings.http.tokens.is_empty() || settings.http.tokens_file.is_some();
        // Without tokens the client's certificate is enough, or the configuration says that nothing is needed.
        if !needs_token {
            return Ok(());
        }
        let header = head.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let Some(token) = header.and_then(auth::bearer) else { return Err(Refusal::no_token()) };
        let tokens = entry.tokens.get(now);
        if let Some(holder) = tokens.holder(token) {
            tracing::debug!(feed = entry.feed.feed.name, holder, "a token was shown");
            return Ok(());
        }
        let is_known = self.entries.iter().any(|other| other.tokens.get(now).holder(token).is_some());
        Err(if is_known { Refusal::forbidden() } else { Refusal::unknown_token() })
    }
}
