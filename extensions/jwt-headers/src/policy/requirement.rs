//! What has to be true of the tokens of a request.

use super::docket::Docket;
use super::extract::Found;
use super::failure::Failure;
use super::provider::Provider;
use super::{Accepted, Stop, Surroundings};
use std::rc::Rc;

/// A requirement, compiled: providers are numbers.
#[derive(Debug)]
pub(super) enum Requirement {
    /// All tokens of a provider are good, and there is one.
    Provider { provider: usize, audiences: Option<Vec<String>> },
    /// The first that is met.
    Any(Vec<Requirement>),
    /// All.
    All(Vec<Requirement>),
    /// Each token that one of these providers finds is good for one of them that finds it.
    AllowMissing(Vec<usize>),
    /// Whatever is good for one of these is used.
    AllowMissingOrFailed(Vec<usize>),
    /// Whatever these find is used, and this header says that nobody has verified it.
    ExtractOnly { scope: Vec<usize>, sign: Option<Rc<str>> },
}

type Outcome<'a> = Result<Vec<Accepted<'a>>, Stop>;

/// Where requirements are judged.
#[derive(Clone, Copy)]
pub(super) struct Court<'c, 'a> {
    pub(super) providers: &'c [Provider],
    pub(super) docket: &'c Docket<'c, 'a>,
    pub(super) by: &'c dyn Surroundings,
}

impl Requirement {
    /// Headers that nobody else may set.
    pub(super) fn managed(&self) -> Vec<String> {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().flat_map(Self::managed).collect(),
            Self::ExtractOnly { sign: Some(name), .. } => vec![name.to_string()],
            _ => Vec::new(),
        }
    }

    pub(super) fn judge<'a>(&self, court: Court<'_, 'a>) -> Outcome<'a> {
        match self {
            Self::Provider { provider, audiences } => court.tokens_of(*provider, audiences.as_deref()),
            Self::Any(all) => any(all, court),
            Self::All(all) => {
                let mut accepted = Vec::new();
                for one in all {
                    accepted.extend(one.judge(court)?);
                }
                Ok(accepted)
            }
            Self::AllowMissing(scope) => court.if_there(scope),
            Self::AllowMissingOrFailed(scope) => court.those_that_are_good(scope),
            Self::ExtractOnly { scope, sign } => Ok(court.unverified(scope, sign.as_ref())),
        }
    }
}

/// One that is met decides, also if another still waits for keys.
fn any<'a>(all: &[Requirement], court: Court<'_, 'a>) -> Outcome<'a> {
    let (mut failure, mut waiting) = (Failure::Missing, None);
    for one in all {
        match one.judge(court) {
            Ok(accepted) => return Ok(accepted),
            Err(Stop::Failed(other)) => failure = failure.or(other),
            Err(stop) => waiting = waiting.or(Some(stop)),
        }
    }
    Err(waiting.unwrap_or(Stop::Failed(failure)))
}

impl<'a> Court<'_, 'a> {
    fn tokens_of(self, number: usize, audiences: Option<&[String]>) -> Outcome<'a> {
        let provider = self.providers.get(number).ok_or(Stop::Failed(Failure::NoKeys))?;
        let mut accepted = Vec::new();
        for token in provider.tokens(self.docket)? {
            accepted.push(provider.verify(number, token, audiences, self.by)?);
        }
        if accepted.is_empty() { Err(Stop::Failed(Failure::Missing)) } else { Ok(accepted) }
    }

    /// No provider may overlook a token because another has one that is good.
    fn if_there(self, scope: &[usize]) -> Outcome<'a> {
        let (mut accepted, mut refused): (Vec<Accepted<'a>>, Vec<(Found<'a>, Stop)>) =
            (Vec::new(), Vec::new());
        for (number, provider) in self.of(scope) {
            for token in provider.tokens(self.docket)? {
                match provider.verify(number, token, None, self.by) {
                    Ok(good) => accepted.push(good),
                    Err(stop) => refused.push((token.found, stop)),
                }
            }
        }
        refused.retain(|(found, _)| !accepted.iter().any(|good| good.found.is_same(found)));
        let is_waiting = |stop: &Stop| !matches!(stop, Stop::Failed(_));
        if let Some((_, waiting)) = refused.iter().find(|(_, stop)| is_waiting(stop)) {
            return Err(*waiting);
        }
        let failures = refused.iter().filter_map(|(_, stop)| match stop {
            Stop::Failed(failure) => Some(*failure),
            Stop::Waits { .. } => None,
        });
        match failures.reduce(Failure::or) {
            Some(failure) => Err(Stop::Failed(failure)),
            None => Ok(accepted),
        }
    }

    fn those_that_are_good(self, scope: &[usize]) -> Outcome<'a> {
        let mut accepted: Vec<Accepted<'a>> = Vec::new();
        for (number, provider) in self.of(scope) {
            for token in provider.tokens(self.docket).into_iter().flatten() {
                match provider.verify(number, token, None, self.by) {
                    Ok(good) => accepted.push(good),
                    Err(Stop::Failed(_)) => {}
                    Err(stop) => return Err(stop),
                }
            }
        }
        Ok(accepted)
    }

    fn unverified(self, scope: &[usize], sign: Option<&Rc<str>>) -> Vec<Accepted<'a>> {
        let mut read = Vec::new();
        for (number, provider) in self.of(scope) {
            let tokens = provider.tokens(self.docket).into_iter().flatten();
            read.extend(tokens.filter_map(|token| provider.read(number, token, sign.cloned())));
        }
        read
    }

    fn of(&self, scope: &[usize]) -> impl Iterator<Item = (usize, &Provider)> {
        scope.iter().filter_map(|number| self.providers.get(*number).map(|provider| (*number, provider)))
    }
}
