//! Why a request may not pass, in the words of Envoy's jwt_authn.

/// What is wrong with a token, or with its being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no token.
    Missing,
    /// More tokens than anybody needs.
    TooMany,
    /// Not three parts of base64url, or too large.
    Form,
    /// The header's base64url is not canonical.
    HeaderBase64,
    /// The header is not strict JSON.
    HeaderJson,
    /// `alg` is not a text.
    NoAlgorithm,
    /// `alg` is one that nobody verifies here.
    UnknownAlgorithm,
    /// The provider does not accept this algorithm.
    RefusedAlgorithm,
    /// `kid` is not a text.
    KeyId,
    /// Extensions that must be understood, and are not.
    Critical,
    /// The payload's base64url is not canonical.
    PayloadBase64,
    /// The payload is not strict JSON.
    PayloadJson,
    /// `iss` is not a text.
    IssuerType,
    /// `sub` is not a text.
    SubjectType,
    /// `aud` is neither a text nor a list of texts.
    AudienceType,
    /// `exp` is not a number.
    ExpirationType,
    /// `exp` is negative or too large.
    ExpirationRange,
    /// `nbf` is not a number.
    NotBeforeType,
    /// `nbf` is negative or too large.
    NotBeforeRange,
    /// `iat` is not a number.
    IssuedAtType,
    /// `iat` is negative or too large.
    IssuedAtRange,
    /// The signature's base64url is not canonical.
    SignatureBase64,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It has no `exp`, and needs one.
    NoExpiration,
    /// It lives longer than is allowed.
    Lifetime,
    /// It is not of this issuer.
    Issuer,
    /// It is not for this audience.
    Audience,
    /// It is not about a subject that is allowed.
    Subject,
    /// There is no key that can be used.
    NoKeys,
    /// No key has its `kid` and algorithm.
    NoKey,
    /// More keys could have signed it than can be tried.
    Crowd,
    /// The signature is not that of a key.
    Signature,
    /// The keys are not there yet.
    Fetch,
    /// The path cannot be decoded, or is made to be read in many ways.
    Path,
    /// The rules' expressions would have to look at too much of it.
    Long,
    /// Filter state that the rules ask for cannot be read.
    State,
    /// A claim cannot stand where the configuration puts it.
    Unusable,
}

impl Failure {
    /// The text for the client.
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "Jwt is missing",
            Self::TooMany => "Found multiple Jwt tokens",
            Self::Form => "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            Self::HeaderBase64 => "Jwt header is an invalid Base64url encoded",
            Self::HeaderJson => "Jwt header is an invalid JSON",
            Self::NoAlgorithm => "Jwt header [alg] field is required and must be a string",
            Self::UnknownAlgorithm | Self::RefusedAlgorithm => "Jwt header [alg] is not supported",
            Self::KeyId => "Jwt header [kid] field is not a string",
            Self::Critical => "Jwt header [crit] is not supported",
            Self::PayloadBase64 => "Jwt payload is an invalid Base64url encoded",
            Self::PayloadJson => "Jwt payload is an invalid JSON",
            Self::IssuerType => "Jwt payload [iss] field is not a string",
            Self::SubjectType => "Jwt payload [sub] field is not a string",
            Self::AudienceType => "Jwt payload [aud] field is not a string or string list",
            Self::ExpirationType => "Jwt payload [exp] field is not an integer",
            Self::ExpirationRange => "Jwt payload [exp] field is not a positive 64 bit integer",
            Self::NotBeforeType => "Jwt payload [nbf] field is not an integer",
            Self::NotBeforeRange => "Jwt payload [nbf] field is not a positive 64 bit integer",
            Self::IssuedAtType => "Jwt payload [iat] field is not an integer",
            Self::IssuedAtRange => "Jwt payload [iat] field is not a positive 64 bit integer",
            Self::SignatureBase64 => "Jwt signature is an invalid Base64url encoded",
            Self::Expired => "Jwt is expired",
            Self::NotYetValid => "Jwt not yet valid",
            Self::Issuer => "Jwt issuer is not configured",
            Self::Audience => "Audiences in Jwt are not allowed",
            Self::NoKeys => "Jwks doesn't have any valid public key",
            Self::NoKey => "Jwks doesn't have key to match kid or alg from Jwt",
            Self::Crowd => "Jwt fits too many keys",
            // Envoy has no other words for what is not in its parser (measured on 1.40); the log has.
            Self::NoExpiration | Self::Lifetime | Self::Subject | Self::Signature => "Jwt verification fails",
            Self::Fetch => "Jwks remote fetch is failed",
            Self::Path => "Path cannot be read",
            Self::Long => "Request is too long for the rules",
            Self::State => "Filter state cannot be read",
            Self::Unusable => "Jwt claim cannot be used",
        }
    }

    /// Which of two failures tells more, when a request could have passed in several ways: a token that was meant for a
    /// provider tells more than one that was not, and that more than none.
    pub(super) fn or(self, later: Self) -> Self {
        if later.rank() >= self.rank() { later } else { self }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Issuer => 1,
            _ => 2,
        }
    }
}
