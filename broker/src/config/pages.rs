//! `pages`: what people look at in a browser.

use serde::{Deserialize, Serialize};

use super::{Endpoints, place::Problem};

/// Where the pages are: nothing else may be there, or under it, while one is switched on.
const PLACES: [&str; 3] = ["/admin", "/demo", "/pages"];

/// Pages for people, on the client address. None is there unless it is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    /// What goes on in all instances, for whoever has an API key: `/admin`.
    pub admin: bool,
    /// Demonstrations, of the endpoints that are switched on: `/demo/chat` and `/demo/board`.
    pub demo: bool,
}

impl Pages {
    pub(super) fn check(&self, endpoints: &Endpoints, problems: &mut Vec<Problem>) {
        if self.admin && !endpoints.http.enabled {
            problems.push(Problem::of(
                "pages.admin",
                "shows what the server API tells, which is switched off; set endpoints.http.enabled to true",
            ));
        }
        if self.demo && !(endpoints.socketio.enabled || endpoints.presence.enabled) {
            problems.push(Problem::of(
                "pages.demo",
                "has nothing to show; set endpoints.socketio.enabled or endpoints.presence.enabled to true",
            ));
        }
        if !self.admin && !self.demo {
            return;
        }
        for (key, path) in endpoints.paths() {
            let taken = |place: &str| {
                path.strip_prefix(place).is_some_and(|rest| matches!(rest.chars().next(), None | Some('/')))
            };
            if let Some(place) = PLACES.into_iter().find(|place| taken(place)) {
                problems.push(Problem::of(
                    key,
                    format!("{path:?} is where pages are ({place}); choose another path"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(yaml: &str) -> Vec<String> {
        match Config::parse("test", yaml, std::iter::empty()) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
        }
    }

    #[test]
    fn the_admin_page_needs_the_server_api() {
        assert_eq!(problems("pages: {admin: true}\nendpoints: {http: {enabled: false}}"), ["pages.admin"]);
        assert_eq!(problems("pages: {admin: true}"), [""; 0]);
        assert_eq!(problems("endpoints: {http: {enabled: false}}"), [""; 0]);
    }

    #[test]
    fn a_demonstration_needs_its_endpoint() {
        assert_eq!(problems("pages: {demo: true}"), ["pages.demo"]);
        for endpoint in ["socketio", "presence"] {
            let yaml = format!("pages: {{demo: true}}\nendpoints: {{{endpoint}: {{enabled: true}}}}");
            assert_eq!(problems(&yaml), [""; 0], "{endpoint}");
        }
    }

    #[test]
    fn no_endpoint_is_where_the_pages_are() {
        for (path, taken) in
            [("/admin", true), ("/pages/api", true), ("/demo", true), ("/administration", false)]
        {
            let endpoints = format!("endpoints: {{http: {{path: {path}}}}}\n");
            let expected: &[&str] = if taken { &["endpoints.http.path"] } else { &[] };
            assert_eq!(problems(&format!("{endpoints}pages: {{admin: true}}")), expected, "{path}");
            assert_eq!(problems(&endpoints), [""; 0], "{path} is free while no page is there");
        }
    }
}
