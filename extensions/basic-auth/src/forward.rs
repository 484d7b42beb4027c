//! The request at hand: what the policy looks at, and what of it the upstream gets to see.

use crate::config::Config;
use crate::policy::{Authorization, Decision, Request};
use proxy_wasm_kit::{HeadersMut, HostError, Snapshot};

/// What the policy looks at, in one walk over the headers.
pub(crate) fn seen(headers: &Snapshot) -> Request<'_> {
    let mut request =
        Request { method: b"", authority: b"", path: b"", authorization: Authorization::Missing };
    for (name, value) in headers.iter() {
        match name {
            b":method" => request.method = value,
            b":authority" => request.authority = value,
            b":path" => request.path = value,
            b"authorization" => request.authorization = request.authorization.and(value),
            _ => {}
        }
    }
    request
}

/// How a request that goes on is changed.
pub(crate) struct Forward {
    /// Names the user. What the client sends under that name never reaches the upstream.
    user_header: Option<String>,
    strip_authorization: bool,
}

impl Forward {
    pub(crate) fn new(config: &Config) -> Self {
        let user_header = config.forward_username_header.as_ref().map(|name| name.to_ascii_lowercase());
        Self { user_header, strip_authorization: config.strip_authorization }
    }

    /// Whether a request that no rule is about stays as it is, whatever it holds.
    pub(crate) fn is_idle(&self) -> bool {
        self.user_header.is_none()
    }

    pub(crate) fn apply(
        &self,
        headers: &HeadersMut<'_>,
        sent: &Snapshot,
        decision: &Decision,
    ) -> Result<(), HostError> {
        let user = match decision {
            Decision::Allowed { user, .. } => Some(user.as_slice()),
            Decision::Unprotected | Decision::Denied { .. } => None,
        };
        if self.strip_authorization && user.is_some() {
            headers.remove("authorization")?;
        }
        match &self.user_header {
            Some(name) => name_user(name, user.filter(|user| !user.is_empty()), headers, sent),
            None => Ok(()),
        }
    }
}

/// Sets the header, and removes all that could be taken for it.
fn name_user(
    name: &str,
    user: Option<&[u8]>,
    headers: &HeadersMut<'_>,
    sent: &Snapshot,
) -> Result<(), HostError> {
    if let Some(user) = user {
        headers.set(name, user)?;
    }
    let mut alike: Vec<&[u8]> =
        sent.iter().map(|(sent, _)| sent).filter(|sent| is_alike(sent, name)).collect();
    alike.sort_unstable();
    alike.dedup();
    alike.retain(|sent| user.is_none() || *sent != name.as_bytes());
    alike.iter().try_for_each(|sent| headers.remove(sent))
}

/// CGI and its heirs (WSGI, Rack, PHP) do not tell `-` from `_`.
fn is_alike(sent: &[u8], name: &str) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    sent.iter().map(folded).eq(name.as_bytes().iter().map(folded))
}
