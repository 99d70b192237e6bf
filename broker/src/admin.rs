//! The admin port: metrics, probes and the drain. Never exposed outside the cluster.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;

use crate::{
    drain::Drain,
    endpoint::{Gateway, Phase},
};

/// What the admin port answers from.
pub struct Admin {
    /// The broker.
    pub gateway: Arc<Gateway>,
    /// Leaving.
    pub drain: Arc<Drain>,
}

impl Admin {
    /// The routes of the admin port.
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/healthz", get(healthz))
            .route("/drain", post(drain))
            .with_state(Arc::new(self))
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let gateway = &admin.gateway;
    gateway.hub.observe();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], gateway.hub.metrics.encode())
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    match admin.gateway.phase() {
        Phase::Open => (StatusCode::OK, "ok\n"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn healthz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let gateway = &admin.gateway;
    let health = gateway.backplane.health();
    let status = match (gateway.phase(), health.connected) {
        (Phase::Starting, _) => "starting",
        (Phase::Draining, _) => "draining",
        (Phase::Open, true) => "ok",
        (Phase::Open, false) => "degraded",
    };
    let record = gateway.hub.record();
    Json(json!({
        "status": status,
        "instance": record.id,
        "epoch": record.epoch,
        "version": record.version,
        "uptime_seconds": record.uptime,
        "connections": record.clients,
        "channels": record.channels,
        "subscriptions": record.subscriptions,
        "redis": health,
    }))
}

async fn drain(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let drained = admin.drain.run().await;
    Json(json!({"drained": drained.closed, "left": drained.left}))
}
