//! How often the route is chosen anew, which no case can say: a real Envoy does not tell.
#![allow(clippy::expect_used, reason = "it is no guest")]

use proxy_wasm_kit_host::exchange::{Message, Setup};
use proxy_wasm_kit_host::native::Host;

const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJhbm4ifQ.vfoVy0v6A3Z1nSLtERfuJnZnMvU12_82AHGlOyEIZXSNOaxvSieLY6Jdt25DtzvbOV0UZtZE5JLhp9nHEGadBw";

/// How often the route is chosen anew for a request with a token and one without, under these actions.
fn choices(forward: bool, actions: &str) -> [u32; 2] {
    let key = r#"{"kty": "EC", "crv": "P-256", "x": "WtYAqdVwrf6rZE9ovYjnYtZBqRdno5FgckpvH4-Gl08", "y": "uOlOFxVVj1FbJPvJM3jgCMEOxN4_siTqq8VUtKcO-Eg"}"#;
    let provider = format!(r#"{{"forward": {forward}, "local_jwks": {{"keys": [{key}]}}}}"#);
    let configuration = format!(
        r#"{{"providers": {{"a": {provider}}}, "requires": {{"allow_missing": {{}}}}, "actions": {actions}}}"#
    );
    let setup = Setup { configuration: configuration.into_bytes(), ..Setup::default() };
    let host = Host::start(jwt_headers::initialize, setup).expect("the configuration is accepted");
    let request = Message::request("GET", "/");
    let with_token = request.clone().header("authorization", format!("Bearer {TOKEN}"));
    [with_token, request].map(|request| host.exchange(request, &Message::response(200)).route_clears)
}

#[test]
fn filter_state_alone_has_the_route_chosen_anew_once() {
    let two =
        r#"[{"filter_state": {"user": "{sub}", "kind": "{sub}"}}, {"filter_state": {"again": "{sub}"}}]"#;
    assert_eq!(choices(true, two), [1, 0]);
    let always = r#"[{"filter_state": {"user": "anybody"}}]"#;
    assert_eq!(choices(true, always), [1, 1]);
}

#[test]
fn an_edit_of_headers_does_so_by_itself() {
    let state = r#"[{"filter_state": {"user": "{sub}"}}]"#;
    assert_eq!(choices(false, state), [1, 0]);
    let both = r#"[{"filter_state": {"user": "{sub}"}, "headers": [{"name": "x-user", "set": "{sub}"}]}]"#;
    assert_eq!(choices(true, both), [1, 0]);
}

#[test]
fn what_changes_nothing_leaves_the_route_alone() {
    let none =
        r#"[{"filter_state": {"tenant": "{tenant}"}, "headers": [{"name": "x-tenant", "set": "{tenant}"}]}]"#;
    assert_eq!(choices(true, none), [0, 0]);
}
