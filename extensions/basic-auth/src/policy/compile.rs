//! From the configuration as written to the policy as used. Every mistake is found here, and said with its place.

use super::credentials::{BASE64, Credentials, Key};
use super::hash::{self, Hash, Password};
use super::host;
use super::path::{self, Shape};
use super::rules::{MethodNames, Methods, PathPattern, Rules, Scope};
use super::{Policy, Profile};
use crate::config::{Config, DefaultRule, PathMatching, Rule};
use base64::Engine;
use regex_lite::RegexBuilder;
use std::fmt;

/// What is wrong with a configuration, and where. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// For example `basic_auth_rules[2].credentials[0]`.
    pub path: String,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Mistake {}

type Checked<T> = Result<T, Mistake>;

fn mistake<T>(path: impl Into<String>, message: impl Into<String>) -> Checked<T> {
    Err(Mistake { path: path.into(), message: message.into() })
}

/// A regular expression's compiled form may be this big.
const MAX_REGEX_SIZE: usize = 256 * 1024;

/// The highest bcrypt cost that can be configured: some seconds for a verification.
const MAX_BCRYPT_COST: u32 = 14;

/// Checks the configuration and builds its indexes. The key has to be random.
///
/// # Errors
///
/// The first mistake that is found.
pub fn compile(config: Config, key: Key) -> Result<Policy, Mistake> {
    check_settings(&config)?;
    let mut compiler = Compiler {
        path_matching: config.path_matching,
        realm: config.realm,
        names_forwarded: config.forward_username_header.is_some(),
        max_bcrypt_cost: config.max_bcrypt_cost,
        methods: MethodNames::default(),
        scopes: Vec::new(),
        profiles: Vec::new(),
        credentials: Credentials::new(key),
        warnings: Vec::new(),
    };
    for (index, rule) in config.basic_auth_rules.into_iter().enumerate() {
        compiler.add(&format!("basic_auth_rules[{index}]"), index, rule)?;
    }
    if let Some(rule) = config.default_rule {
        compiler.add_default("default_rule", rule)?;
    }
    Ok(compiler.finish(config.head_as_get))
}

fn check_settings(config: &Config) -> Checked<()> {
    check_realm("realm", &config.realm)?;
    if config.max_bcrypt_cost > MAX_BCRYPT_COST {
        let found = config.max_bcrypt_cost;
        return mistake("max_bcrypt_cost", format!("expected at most {MAX_BCRYPT_COST}, found {found}"));
    }
    match &config.forward_username_header {
        Some(name) if !is_token(name) => mistake("forward_username_header", "expected the name of a header"),
        Some(name) if RESERVED.contains(&&*name.to_ascii_lowercase()) => {
            mistake("forward_username_header", format!("the header `{name}` has another meaning"))
        }
        _ => Ok(()),
    }
}

/// Headers whose loss or change would break the request.
const RESERVED: [&str; 8] =
    ["authorization", "connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

fn is_token(name: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

fn check_realm(path: &str, realm: &str) -> Checked<()> {
    match realm.chars().any(char::is_control) {
        true => mistake(path, "a realm cannot hold control characters"),
        false => Ok(()),
    }
}

/// RFC 7617; the realm as a quoted string.
fn challenge(realm: &str) -> String {
    let quoted: String =
        realm.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"")
}

struct Compiler {
    path_matching: PathMatching,
    realm: String,
    names_forwarded: bool,
    max_bcrypt_cost: u32,
    methods: MethodNames,
    scopes: Vec<Scope>,
    profiles: Vec<Profile>,
    credentials: Credentials,
    warnings: Vec<String>,
}

impl Compiler {
    fn add(&mut self, at: &str, index: usize, rule: Rule) -> Checked<()> {
        let path = self.path_pattern(at, &rule)?;
        let methods = self.methods(at, &rule.request_methods)?;
        if rule.request_methods.is_empty() {
            return mistake(at, "`request_methods`: expected at least one method, or `*` for all");
        }
        let hosts = self.hosts(at, &rule.hosts)?;
        self.scopes.push(Scope { methods, hosts, path });
        let sources = Sources { credentials: rule.credentials, htpasswd: rule.htpasswd };
        if rule.public && sources.exist() {
            return mistake(at, "a `public` rule has no credentials");
        }
        self.add_profile(at, rule.name.unwrap_or_else(|| index.to_string()), rule.realm, rule.public)?;
        if rule.public { Ok(()) } else { self.add_credentials(at, sources) }
    }

    fn add_default(&mut self, at: &str, rule: DefaultRule) -> Checked<()> {
        let methods = match &*rule.request_methods {
            [] => Methods::ALL,
            names => self.methods(at, names)?,
        };
        let hosts = self.hosts(at, &rule.hosts)?;
        self.scopes.push(Scope { methods, hosts, path: PathPattern::Unmatched });
        self.add_profile(at, rule.name.unwrap_or_else(|| "default".to_owned()), rule.realm, false)?;
        self.add_credentials(at, Sources { credentials: rule.credentials, htpasswd: rule.htpasswd })
    }

    fn finish(self, head_as_get: bool) -> Policy {
        Policy {
            rules: Rules::new(self.scopes, self.methods, head_as_get, self.path_matching),
            profiles: self.profiles,
            credentials: self.credentials,
            warnings: self.warnings,
        }
    }

    /// The number of the rule that is being added.
    fn number(&self) -> u32 {
        u32::try_from(self.profiles.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn warn(&mut self, path: &str, message: &str) {
        self.warnings.push(format!("{path}: {message}"));
    }

    fn path_pattern(&mut self, at: &str, rule: &Rule) -> Checked<PathPattern> {
        let patterns = [
            ("prefix", &rule.prefix, Some(Shape::Prefix)),
            ("exact", &rule.exact, Some(Shape::Exact)),
            ("suffix", &rule.suffix, Some(Shape::Suffix)),
            ("regex", &rule.regex, None),
        ];
        let mut given = patterns.iter().filter_map(|(key, text, shape)| Some((key, text.as_ref()?, shape)));
        let (Some((key, text, shape)), None) = (given.next(), given.next()) else {
            let found: Vec<_> = patterns.iter().filter(|(_, text, _)| text.is_some()).map(|p| p.0).collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            return mistake(
                at,
                format!("expected exactly one of prefix, exact, suffix, regex; found {found}"),
            );
        };
        let at = format!("{at}.{key}");
        if text.is_empty() {
            return mistake(
                at,
                "expected a pattern, found an empty one (`/` as a prefix matches every path)",
            );
        }
        match shape {
            Some(shape) => self.text_pattern(&at, text, *shape),
            None => regex_pattern(&at, text),
        }
    }

    fn text_pattern(&mut self, at: &str, text: &str, shape: Shape) -> Checked<PathPattern> {
        let anchored =
            text.starts_with('/') || text.starts_with("%2") || shape == Shape::Suffix || text == "*";
        if !anchored {
            self.warn(at, "never matches: a path begins with `/`");
        }
        let spellings = match self.path_matching {
            PathMatching::Original => Ok(vec![text.as_bytes().to_vec()]),
            PathMatching::Normalized => path::spellings(text, shape),
        };
        match spellings {
            Ok(spellings) => Ok(PathPattern::Text(shape, spellings)),
            Err(reason) => mistake(at, reason),
        }
    }

    fn methods(&mut self, at: &str, names: &[String]) -> Checked<Methods> {
        for (index, name) in names.iter().enumerate() {
            let at = format!("{at}.request_methods[{index}]");
            if !is_token(name) {
                return mistake(at, "expected a method such as `GET`, or `*` for all");
            }
            if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                self.warn(&at, "methods are case-sensitive, and common ones are in upper case");
            }
        }
        match self.methods.union(names) {
            Some(methods) => Ok(methods),
            None => mistake(format!("{at}.request_methods"), "more than 63 different methods are named"),
        }
    }

    fn hosts(&mut self, at: &str, patterns: &[String]) -> Checked<Vec<host::HostPattern>> {
        for (index, pattern) in patterns.iter().enumerate() {
            let at = format!("{at}.hosts[{index}]");
            if pattern.is_empty() {
                return mistake(at, "expected a host, found an empty text (`*` matches every host)");
            }
            if let Some(doubt) = host::doubt(pattern) {
                self.warn(&at, doubt);
            }
        }
        Ok(patterns.iter().map(|pattern| host::pattern(pattern)).collect())
    }

    fn add_profile(&mut self, at: &str, name: String, realm: Option<String>, public: bool) -> Checked<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(allowed) {
            return mistake(
                format!("{at}.name"),
                "expected at most 100 letters, digits, `_`, `-`, `.` and `/`",
            );
        }
        if let Some(realm) = &realm {
            check_realm(&format!("{at}.realm"), realm)?;
        }
        let challenge = challenge(realm.as_ref().unwrap_or(&self.realm));
        self.profiles.push(Profile { name, challenge, public });
        Ok(())
    }

    fn add_credentials(&mut self, at: &str, sources: Sources) -> Checked<()> {
        if !sources.exist() {
            return mistake(at, "expected at least one credential, in `credentials` or `htpasswd`");
        }
        for (index, text) in sources.credentials.iter().enumerate() {
            let at = format!("{at}.credentials[{index}]");
            match read_credential(text) {
                Ok(credential) => _ = self.add_credential(&at, credential)?,
                Err(reason) => return mistake(at, reason),
            }
        }
        self.add_htpasswd(&format!("{at}.htpasswd"), sources.htpasswd.as_deref().unwrap_or_default())
    }

    fn add_htpasswd(&mut self, at: &str, text: &str) -> Checked<()> {
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let in_line = |reason: String| Mistake {
                path: at.to_owned(),
                message: format!("line {}: {reason}", index.saturating_add(1)),
            };
            let credential = read_htpasswd_line(line).map_err(in_line)?;
            let user = credential.user().map(<[u8]>::escape_ascii).map(|user| user.to_string());
            let known = self.add_credential(at, credential).map_err(|mistake| in_line(mistake.message))?;
            if known {
                return Err(in_line(format!("user {} occurs twice", user.unwrap_or_default())));
            }
        }
        Ok(())
    }

    /// Says whether the rule knew the user already, by a hashed password.
    fn add_credential(&mut self, at: &str, credential: Credential) -> Checked<bool> {
        if self.names_forwarded {
            let user = credential.user().filter(|user| !user.is_empty());
            if user.is_none_or(|user| user.iter().any(u8::is_ascii_control)) {
                return mistake(at, "has no user name that `forward_username_header` could tell");
            }
        }
        let rule = self.number();
        match credential {
            Credential::Secret(secret) => {
                self.credentials.add_secret(rule, &secret);
                Ok(false)
            }
            Credential::Hashed(_, Hash::Bcrypt { cost, .. }) if cost > self.max_bcrypt_cost => {
                let most = self.max_bcrypt_cost;
                mistake(at, format!("the bcrypt cost {cost} is above `max_bcrypt_cost`, which is {most}"))
            }
            Credential::Hashed(user, hash) => Ok(self.credentials.add_hash(rule, &user, hash)),
        }
    }
}

/// Where a rule's credentials come from.
struct Sources {
    credentials: Vec<String>,
    htpasswd: Option<String>,
}

impl Sources {
    /// Whether there is a credential: a file of comments has none.
    fn exist(&self) -> bool {
        let is_entry = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
        !self.credentials.is_empty()
            || self.htpasswd.as_deref().is_some_and(|text| text.lines().any(is_entry))
    }
}

/// A credential as configured.
enum Credential {
    Secret(Vec<u8>),
    Hashed(Vec<u8>, Hash),
}

impl Credential {
    fn user(&self) -> Option<&[u8]> {
        match self {
            Self::Hashed(user, _) => Some(user),
            Self::Secret(secret) => {
                let colon = secret.iter().position(|byte| *byte == b':')?;
                secret.get(..colon)
            }
        }
    }
}

/// `user:password`, `user:hash`, or base64 of whatever the client is to send.
fn read_credential(text: &str) -> Result<Credential, String> {
    let Some((user, password)) = text.split_once(':') else {
        let decoded = BASE64.decode(text).ok().filter(|decoded| !decoded.is_empty());
        return decoded
            .map(Credential::Secret)
            .ok_or_else(|| format!("expected \"user:password\" or base64, found {}", masked(text)));
    };
    match hash::read(password) {
        Ok(Password::Plain(password)) => Ok(Credential::Secret(format!("{user}:{password}").into_bytes())),
        Ok(Password::Hashed(hash)) => Ok(Credential::Hashed(user.into(), hash)),
        Err(reason) => Err(format!("user {}: {reason}", user.escape_default())),
    }
}

/// In a file that is meant to hold hashes, what is not one is a mistake and not a password.
fn read_htpasswd_line(line: &str) -> Result<Credential, String> {
    let Some((user, password)) =
        line.split_once(':').filter(|(user, hash)| !user.is_empty() && !hash.is_empty())
    else {
        return Err(format!("expected \"user:hash\", found {}", masked(line)));
    };
    match read_credential(line)? {
        Credential::Secret(_) if !password.starts_with("{PLAIN}") => {
            Err(format!("user {}: {}", user.escape_default(), hash::SUPPORTED))
        }
        credential => Ok(credential),
    }
}

/// What may be said about a secret.
fn masked(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty text".to_owned(),
        1 => "\"*\" (1 character)".to_owned(),
        count => format!("\"***\" ({count} characters)"),
    }
}

fn regex_pattern(at: &str, text: &str) -> Checked<PathPattern> {
    match RegexBuilder::new(text).size_limit(MAX_REGEX_SIZE).nest_limit(50).build() {
        Ok(regex) => Ok(PathPattern::Regex(regex)),
        Err(error) => mistake(at, error.to_string()),
    }
}
