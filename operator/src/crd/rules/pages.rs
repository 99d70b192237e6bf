//! Rules of `spec.pages`. They stand at the spec, which has the endpoints too.

use super::rule;
use kube::core::Rule;

pub(in crate::crd) fn admin_asks_the_server_api() -> Rule {
    rule(
        "!self.pages.admin || self.endpoints.http.enabled",
        "pages.admin shows what the server API tells, which is disabled: write endpoints.http.enabled: true, or leave admin out",
    )
    .field_path(".pages.admin")
}

pub(in crate::crd) fn demo_has_an_endpoint() -> Rule {
    rule(
        "!self.pages.demo || self.endpoints.socketio.enabled || self.endpoints.presence.enabled",
        "pages.demo has nothing to show: write enabled: true in endpoints.socketio or endpoints.presence, or leave demo out",
    )
    .field_path(".pages.demo")
}

/// Silent about endpoints that are not there.
pub(in crate::crd) fn places() -> Rule {
    let apart = |name: &str| {
        let endpoint = format!("self.endpoints.{name}");
        format!("(!{endpoint}.enabled || !{endpoint}.path.matches('^/(admin|demo|pages)(/|$)'))")
    };
    let all = ["websocket", "sse", "socketio", "presence", "http"].map(apart).join(" && ");
    rule(
        &format!("!(self.pages.admin || self.pages.demo) || ({all})"),
        "an endpoint's path is /admin, /demo or /pages, or inside one of them, where the pages are: give the endpoint another \
         path, for example /api, or leave pages out",
    )
    .field_path(".endpoints")
}
