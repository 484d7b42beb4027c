//! Who may pass. Nothing here knows of the proxy: a request's few relevant bytes in, a decision out.

mod compile;
mod credentials;
mod hash;
mod host;
mod path;
mod rules;
mod table;

pub use compile::{Mistake, compile};
pub use credentials::Key;

use credentials::{Credentials, Presented};
use rules::Rules;

/// A configuration, checked and indexed.
pub struct Policy {
    rules: Rules,
    profiles: Vec<Profile>,
    credentials: Credentials,
    warnings: Vec<String>,
}

/// What concerns a rule once it is known to apply.
struct Profile {
    name: String,
    challenge: String,
    public: bool,
}

/// What of a request matters, as bytes, each as the client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// `:path`, with the query
    pub path: &'a [u8],
    /// The `authorization` headers.
    pub authorization: Authorization<'a>,
}

/// The `authorization` headers of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// There is none.
    #[default]
    Missing,
    /// There is one.
    Single(&'a [u8]),
    /// There are several: which of them the upstream would read, nobody knows.
    Repeated,
}

impl<'a> Authorization<'a> {
    /// Takes one more header into account.
    #[must_use]
    pub fn and(self, value: &'a [u8]) -> Self {
        match self {
            Self::Missing => Self::Single(value),
            Self::Single(_) | Self::Repeated => Self::Repeated,
        }
    }
}

/// The number of a rule: its place in the list; the default rule comes last.
pub type RuleNumber = u32;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// No rule asks for a credential.
    Unprotected,
    /// Every rule that applies accepts the credential.
    Allowed {
        /// These rules, in order.
        rules: Vec<RuleNumber>,
        /// Who it is, as bytes; empty when the credential names nobody.
        user: Vec<u8>,
    },
    /// It may not pass.
    Denied {
        /// The first rule that does not accept it; none if it was not looked at by any.
        rule: Option<RuleNumber>,
        /// Why.
        reason: Reason,
    },
}

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no `authorization`, or one of another scheme.
    Missing,
    /// The credential is not one of the rule's.
    Invalid,
    /// There are several `authorization` headers.
    Repeated,
    /// The path cannot be decoded, or is made to be read in many ways.
    Unreadable,
}

impl Policy {
    /// Whether no request can ever be denied, so that none has to be looked at.
    pub fn is_idle(&self) -> bool {
        self.profiles.is_empty()
    }

    /// What an operator should know about the configuration, though it is accepted.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The rules' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| &*profile.name)
    }

    /// A rule's name.
    pub fn name(&self, rule: RuleNumber) -> Option<&str> {
        self.profile(rule).map(|profile| &*profile.name)
    }

    /// The `www-authenticate` value that goes with a rule.
    pub fn challenge(&self, rule: RuleNumber) -> Option<&str> {
        self.profile(rule).map(|profile| &*profile.challenge)
    }

    /// Decides on a request.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let Ok(mut rules) = self.rules.matching(request.method, request.authority, request.path) else {
            return Decision::Denied { rule: None, reason: Reason::Unreadable };
        };
        rules.retain(|rule| self.profile(*rule).is_none_or(|profile| !profile.public));
        let Some(first) = rules.first() else { return Decision::Unprotected };
        let presented = match presented(request.authorization) {
            Ok(presented) => presented,
            Err(reason) => return Decision::Denied { rule: Some(*first), reason },
        };
        match rules.iter().find(|rule| !self.credentials.accepts(**rule, &presented)) {
            Some(rule) => Decision::Denied { rule: Some(*rule), reason: Reason::Invalid },
            None => Decision::Allowed { rules, user: presented.user().to_vec() },
        }
    }

    fn profile(&self, rule: RuleNumber) -> Option<&Profile> {
        usize::try_from(rule).ok().and_then(|rule| self.profiles.get(rule))
    }
}

/// RFC 7235: the scheme in any case, one or more spaces, a token.
fn presented(authorization: Authorization<'_>) -> Result<Presented, Reason> {
    let value = match authorization {
        Authorization::Missing => return Err(Reason::Missing),
        Authorization::Repeated => return Err(Reason::Repeated),
        Authorization::Single(value) => value.trim_ascii(),
    };
    let scheme_and_token = value.split_at_checked(b"basic ".len());
    let token = match scheme_and_token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"basic ") => token,
        _ => return Err(Reason::Missing),
    };
    // Envoy joins the values of a repeated `authorization`. No base64 holds a comma.
    if token.contains(&b',') {
        return Err(Reason::Repeated);
    }
    let spaces = token.iter().take_while(|byte| **byte == b' ').count();
    Presented::decode(token.get(spaces..).unwrap_or_default()).ok_or(Reason::Invalid)
}

#[cfg(test)]
mod tests;
