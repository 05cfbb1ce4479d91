//! The admin port: probes, metrics, version, and what a service adds.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::RwLock;
use serde::Serialize;
use tower::ServiceExt as _;
use waybill_telemetry::metrics::Metrics;

use crate::Health;

/// Commit the binary was built from, when the build says so.
pub(crate) const REVISION: Option<&str> = option_env!("WAYBILL_REVISION");

/// Routes that a service adds to the admin port after it is up.
#[derive(Clone, Default)]
pub struct AdminRouter(Arc<RwLock<Option<Router>>>);

impl AdminRouter {
    /// Adds routes. What was added last is asked first; the port's own paths cannot be replaced.
    pub fn mount(&self, router: Router) {
        let mut mounted = self.0.write();
        *mounted = Some(match mounted.take() {
            Some(earlier) => router.fallback_service(earlier),
            None => router,
        });
    }

    async fn answer(&self, request: Request) -> Response {
        let mounted = self.0.read().clone();
        match mounted {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(router) => {
                let answered: Result<Response, Infallible> = router.oneshot(request).await;
                answered.into_response()
            }
        }
    }
}

impl std::fmt::Debug for AdminRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminRouter")
    }
}

#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) mounted: AdminRouter,
    pub(crate) version: Version,
}

/// What `/version` says.
#[expect(clippy::struct_field_names, reason = "the names of the answer's keys")]
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Version {
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<&'static str>,
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .fallback(mounted)
        .with_state(admin)
}

async fn live(State(admin): State<Admin>) -> Response {
    let report = admin.health.liveness();
    (status(report.live), Json(report)).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    let report = admin.health.readiness();
    (status(report.ready), Json(report)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
        .into_response()
}

async fn version(State(admin): State<Admin>) -> Response {
    Json(admin.version).into_response()
}

async fn mounted(State(admin): State<Admin>, request: Request) -> Response {
    admin.mounted.answer(request).await
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
