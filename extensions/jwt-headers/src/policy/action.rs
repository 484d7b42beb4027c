//! What claims do to a request: headers, host, path, query, filter state.

use super::claims::{ClaimPath, Claims, scalar};
use super::compile::header_name;
use super::failure::Failure;
use super::fields::Fields;
use super::pattern::whole;
use super::query;
use super::template::{NoText, Target, Template};
use super::{Accepted, Mistake};
use crate::config::{self, Condition, HeaderAction};
use proxy_wasm_kit_paths::readings;
use regex_lite::Regex;
use serde_json::Value;

/// Edits that belong together.
#[derive(Debug)]
pub(super) struct Action {
    when: Vec<Test>,
    provider: Option<usize>,
    headers: Vec<HeaderEdit>,
    host: Option<Template>,
    path: Option<Template>,
    path_prefix: Option<Template>,
    query: Vec<(String, Option<Template>)>,
    filter_state: Vec<(String, Template)>,
}

#[derive(Debug)]
struct Test {
    claim: ClaimPath,
    kind: Kind,
    not: bool,
}

#[derive(Debug)]
enum Kind {
    Equals(String),
    Prefix(String),
    Regex(Regex),
    Contains(String),
    Present(bool),
}

#[derive(Debug)]
struct HeaderEdit {
    name: String,
    edit: Edit,
    otherwise: Option<String>,
    separator: Option<String>,
}

#[derive(Debug)]
enum Edit {
    Set(Template),
    Add(Template),
    Default(Template),
    Remove,
}

impl Edit {
    fn template(&self) -> Option<&Template> {
        match self {
            Self::Set(template) | Self::Add(template) | Self::Default(template) => Some(template),
            Self::Remove => None,
        }
    }
}

const NO_CONTROLS: &str = "a header cannot hold control characters";

fn is_printable(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// Filter state to be set, name and value.
pub type FilterState = Vec<(String, String)>;

/// What actions have done so far, beside the headers.
#[derive(Debug, Default)]
struct Done {
    /// What they have put before the path.
    prefix: Vec<u8>,
    state: FilterState,
}

/// All actions, one after the other.
pub(super) fn apply(
    actions: &[Action],
    fields: &mut Fields<'_>,
    tokens: &[Accepted<'_>],
) -> Result<FilterState, Failure> {
    let mut done = Done::default();
    for action in actions {
        action.apply(fields, tokens, &mut done)?;
    }
    // Once for all of them: it takes the readings of a path that a client has written.
    match fields.get(":path").filter(|_| !done.prefix.is_empty()) {
        Some(path) => stay_below(query::split(path).0, &done.prefix).map(|()| done.state),
        None => Ok(done.state),
    }
}

type Compiled<T> = Result<T, Mistake>;

impl Action {
    pub(super) fn of(from: &config::Action, providers: &[&str]) -> Compiled<Self> {
        let template =
            |place: &str, text: &String| Template::read(text).map_err(|problem| Mistake::at(place, problem));
        let optional =
            |place, text: &Option<String>| text.as_ref().map(|text| template(place, text)).transpose();
        let path = |place, text| match optional(place, text)? {
            Some(template) if !template.start().starts_with('/') => {
                Err(Mistake::at(place, "expected a path that begins with `/`"))
            }
            Some(template)
                if !template.has_only(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) =>
            {
                Err(Mistake::at(
                    place,
                    "expected a path without query, white space and bytes that are escaped in URLs",
                ))
            }
            template => Ok(template),
        };
        let provider = match &from.provider {
            Some(name) => {
                let number = providers.iter().position(|known| known == name);
                Some(number.ok_or_else(|| Mistake::at("provider", format!("{name:?} is not in providers")))?)
            }
            None => None,
        };
        let mut query: Vec<_> = from.query.remove.iter().map(|name| (name.clone(), None)).collect();
        for (name, text) in &from.query.set {
            query.push((name.clone(), Some(template(&format!("query.set.{name}"), text)?)));
        }
        let mut filter_state = Vec::new();
        for (name, text) in &from.filter_state {
            if name.is_empty() || name.contains('\0') {
                return Err(Mistake::at("filter_state", "expected names that are not empty"));
            }
            filter_state.push((name.clone(), template(&format!("filter_state.{name}"), text)?));
        }
        let host = optional("host", &from.host)?;
        let in_hosts = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.as_ref().is_some_and(|host| !host.has_only(in_hosts)) {
            return Err(Mistake::at("host", "expected the name of a host"));
        }
        let action = Self {
            when: numbered("when", &from.when, Test::of)?,
            provider,
            headers: numbered("headers", &from.headers, HeaderEdit::of)?,
            host,
            path: path("path", &from.path)?,
            path_prefix: path("path_prefix", &from.path_prefix)?,
            query,
            filter_state,
        };
        if action.does_nothing() {
            let text = "expected one of headers, host, path, path_prefix, query, filter_state";
            return Err(Mistake::at("", text));
        }
        Ok(action)
    }

    fn does_nothing(&self) -> bool {
        let texts = [&self.host, &self.path, &self.path_prefix];
        self.headers.is_empty()
            && texts.iter().all(|text| text.is_none())
            && self.query.is_empty()
            && self.filter_state.is_empty()
    }

    /// Headers that nobody else may set.
    pub(super) fn managed(&self) -> impl Iterator<Item = String> {
        let own = |edit: &Edit| matches!(edit, Edit::Set(_) | Edit::Add(_));
        self.headers.iter().filter(move |header| own(&header.edit)).map(|header| header.name.clone())
    }

    /// All claims that it looks at.
    pub(super) fn claims(&self) -> impl Iterator<Item = &ClaimPath> {
        let headers = self.headers.iter().filter_map(|header| header.edit.template());
        let targets = [&self.host, &self.path, &self.path_prefix].into_iter().flatten();
        let query = self.query.iter().filter_map(|(_, value)| value.as_ref());
        let state = self.filter_state.iter().map(|(_, value)| value);
        let templates = headers.chain(targets).chain(query).chain(state);
        self.when.iter().map(|test| &test.claim).chain(templates.flat_map(Template::claims))
    }

    /// Parameters that nobody else may set.
    pub(super) fn managed_parameters(&self) -> impl Iterator<Item = String> {
        self.query.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.clone())
    }

    /// Acts on the claims of the first token that has what is asked for. What asks for nothing, not even for a provider, acts also
    /// without a token.
    fn apply(
        &self,
        fields: &mut Fields<'_>,
        tokens: &[Accepted<'_>],
        done: &mut Done,
    ) -> Result<(), Failure> {
        let is_mine = |token: &&Accepted<'_>| {
            token.is_verified && self.provider.is_none_or(|provider| token.provider == provider)
        };
        let claims = tokens.iter().filter(is_mine).map(|token| &token.signed.claims);
        let found = claims.into_iter().find(|claims| self.when.iter().all(|test| test.is_met(claims)));
        let none = Claims::default();
        let claims = match found {
            Some(claims) => claims,
            None if self.when.is_empty() && self.provider.is_none() => &none,
            None => return Ok(()),
        };
        self.headers.iter().for_each(|header| header.apply(fields, claims));
        self.redirect(fields, claims, &mut done.prefix)?;
        for (name, template) in &self.filter_state {
            if let Ok(text) = template.fill(claims, Target::Header(Some(","))) {
                done.state.push((name.clone(), text));
            }
        }
        Ok(())
    }

    /// Host, path and query.
    fn redirect(
        &self,
        fields: &mut Fields<'_>,
        claims: &Claims,
        before: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if let Some(host) = needed(self.host.as_ref(), claims, Target::Host)? {
            fields.set(":authority", host.into_bytes());
        }
        if self.path.is_none() && self.path_prefix.is_none() && self.query.is_empty() {
            return Ok(());
        }
        let Some(whole) = fields.get(":path").map(<[u8]>::to_vec) else { return Ok(()) };
        let (path, old_query) = query::split(&whole);
        let path = match needed(self.path.as_ref(), claims, Target::Path)? {
            Some(path) => {
                before.clear();
                path.into_bytes()
            }
            None => path.to_vec(),
        };
        let prefix = needed(self.path_prefix.as_ref(), claims, Target::Path)?.unwrap_or_default();
        let prefix = if path.starts_with(b"/") { prefix.trim_end_matches('/') } else { &prefix };
        before.splice(..0, prefix.bytes());
        let mut edited = [prefix.as_bytes(), &path].concat();
        if let Some(query) = old_query {
            edited.extend([b"?", query].concat());
        }
        // What clients sent under names like these is out: what is left was set by another action, and stays.
        let is_mine = |found: &[u8]| {
            self.query.iter().any(|(name, template)| match template {
                Some(_) => *found == *query::plain(name.as_bytes()),
                None => query::is_alike(found, name.as_bytes(), query::PARTS),
            })
        };
        edited = query::without_any(&edited, is_mine).unwrap_or(edited);
        for (name, template) in &self.query {
            if let Some(value) = filled(template.as_ref(), claims, Target::Query)? {
                let mark = if query::split(&edited).1.is_some() { '&' } else { '?' };
                edited.extend(format!("{mark}{}={value}", query::escaped(name)).into_bytes());
            }
        }
        if edited != whole {
            fields.set(":path", edited);
        }
        Ok(())
    }
}

/// No server may read a path as one that is not below a prefix.
fn stay_below(path: &[u8], prefix: &[u8]) -> Result<(), Failure> {
    let prefixes = readings(prefix).or(Err(Failure::Unusable))?;
    let is_below = |path: &[u8], prefix: &[u8]| {
        path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    };
    let paths = readings(path)?;
    let is_there = |path: &[u8]| prefixes.iter().any(|prefix| is_below(path, prefix));
    if paths.iter().all(|path| is_there(path)) { Ok(()) } else { Err(Failure::Unusable) }
}

/// Where a request goes. Without the claim it would go where the client sends it: it does not pass.
fn needed(template: Option<&Template>, claims: &Claims, into: Target<'_>) -> Result<Option<String>, Failure> {
    template.map(|template| template.fill(claims, into)).transpose().map_err(|_| Failure::Unusable)
}

/// A claim that is not there leaves the parameter out; one that leads elsewhere does not let the request pass.
fn filled(template: Option<&Template>, claims: &Claims, into: Target<'_>) -> Result<Option<String>, Failure> {
    match template.map(|template| template.fill(claims, into)) {
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(NoText::Unusable)) => Err(Failure::Unusable),
        Some(Err(NoText::Missing)) | None => Ok(None),
    }
}

impl Test {
    fn of(from: &Condition) -> Compiled<Self> {
        let kinds = [
            from.equals.clone().map(|text| Ok(Kind::Equals(text))),
            from.prefix.clone().map(|text| Ok(Kind::Prefix(text))),
            from.regex.as_ref().map(|regex| whole(regex).map(Kind::Regex)),
            from.contains.clone().map(|text| Ok(Kind::Contains(text))),
            from.present.map(|wanted| Ok(Kind::Present(wanted))),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let kind = match (kinds.next(), kinds.next()) {
            (Some(kind), None) => kind.map_err(|problem| Mistake::at("regex", problem))?,
            _ => {
                return Err(Mistake::at(
                    "",
                    "expected exactly one of equals, prefix, regex, contains, present",
                ));
            }
        };
        let claim = ClaimPath::read(&from.claim).map_err(|problem| Mistake::at("claim", problem))?;
        Ok(Self { claim, kind, not: from.not })
    }

    fn is_met(&self, claims: &Claims) -> bool {
        let claim = claims.listed(&self.claim);
        let met = match (&self.kind, claim) {
            (Kind::Present(wanted), _) => *wanted == claim.is_some(),
            (_, None) => false,
            (Kind::Contains(word), Some(Value::String(text))) => {
                text.split_ascii_whitespace().any(|one| one == word)
            }
            (_, Some(Value::Array(list))) => list.iter().any(|one| self.fits(one)),
            (_, Some(one)) => self.fits(one),
        };
        met != self.not
    }

    fn fits(&self, claim: &Value) -> bool {
        let Some(text) = scalar(claim) else { return false };
        match &self.kind {
            Kind::Equals(wanted) | Kind::Contains(wanted) => text == *wanted,
            Kind::Prefix(prefix) => text.starts_with(prefix),
            Kind::Regex(regex) => regex.is_match(&text),
            Kind::Present(_) => true,
        }
    }
}

impl HeaderEdit {
    fn of(from: &HeaderAction) -> Compiled<Self> {
        let name = header_name(&from.name).map_err(|problem| Mistake::at("name", problem))?;
        let template = |place: &str, text: &Option<String>| {
            let read = text.as_ref().map(|text| Template::read(text));
            match read.transpose().map_err(|problem| Mistake::at(place, problem))? {
                Some(text) if !text.has_only(is_printable) => Err(Mistake::at(place, NO_CONTROLS)),
                text => Ok(text),
            }
        };
        if from.otherwise.as_ref().is_some_and(|text| !text.bytes().all(is_printable)) {
            return Err(Mistake::at("otherwise", NO_CONTROLS));
        }
        let edits = [
            template("set", &from.set)?.map(Edit::Set),
            template("add", &from.add)?.map(Edit::Add),
            template("default", &from.default)?.map(Edit::Default),
            from.remove.then_some(Edit::Remove),
        ];
        let mut edits = edits.into_iter().flatten();
        let edit = match (edits.next(), edits.next()) {
            (Some(edit), None) => edit,
            _ => return Err(Mistake::at("", "expected exactly one of set, add, default, remove")),
        };
        if from.remove && (from.otherwise.is_some() || from.separator.is_some()) {
            return Err(Mistake::at("remove", "expected neither otherwise nor separator with it"));
        }
        if from.separator.as_ref().is_some_and(String::is_empty) {
            return Err(Mistake::at("separator", "expected a text that is not empty"));
        }
        Ok(Self { name, edit, otherwise: from.otherwise.clone(), separator: from.separator.clone() })
    }

    fn apply(&self, fields: &mut Fields<'_>, claims: &Claims) {
        let text = |template: &Template| {
            let filled = template.fill(claims, Target::Header(self.separator.as_deref())).ok();
            filled.or_else(|| self.otherwise.clone()).map(String::into_bytes)
        };
        match &self.edit {
            Edit::Remove => fields.remove_all_like(&self.name),
            Edit::Set(template) => {
                if let Some(value) = text(template) {
                    fields.set(&self.name, value);
                }
            }
            Edit::Add(template) => {
                if let Some(value) = text(template) {
                    fields.add(&self.name, value);
                }
            }
            Edit::Default(template) => {
                // What the client has sent counts under this name alone: some upstreams would read the other one.
                fields.remove_other_spellings(&self.name);
                if let Some(value) = text(template).filter(|_| fields.get(&self.name).is_none()) {
                    fields.set(&self.name, value);
                }
            }
        }
    }
}

fn numbered<F, T>(place: &str, list: &[F], compile: impl Fn(&F) -> Compiled<T>) -> Compiled<Vec<T>> {
    let one = |(number, from)| compile(from).map_err(|mistake| mistake.within(&format!("{place}[{number}]")));
    list.iter().enumerate().map(one).collect()
}
