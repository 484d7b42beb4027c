//! Requests that are under way at the same time: `meanwhile` sends one while the one before it is.

use super::format::Expect;
use super::{Case, Step};

/// The requests of a case, in groups that are under way together.
pub(super) fn groups(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|_, next| next.meanwhile)
}

/// What is said of requests that are under way together must be the same for all, or be told apart by every host.
pub(super) fn fits(case: &Case) -> Result<(), (u64, String)> {
    if let Some(first) = case.steps.first().filter(|step| step.meanwhile) {
        return Err((first.line, "meanwhile: there is no request before it".into()));
    }
    for group in groups(&case.steps).filter(|group| group.len() > 1) {
        let shared = group.iter().skip(1).find_map(|step| Some((step.line, of_the_first(&group[0], step)?)));
        if let Some((line, key)) = shared {
            let remedy = "the first of the requests that are under way together says it for all";
            return Err((line, format!("{key}: {remedy}")));
        }
        let expected = group.iter().flat_map(|step| step.expect.all());
        let told = expected.map(|placed| (placed.line, not_told_apart(&placed.value)));
        if let Some((line, key)) = told.filter_map(|(line, key)| Some((line, key?))).next() {
            let reason = "of requests that are under way together a host cannot tell whose it is";
            return Err((line, format!("{key}: {reason}; expect it of the case, or of a request alone")));
        }
    }
    Ok(())
}

fn of_the_first(first: &Step, step: &Step) -> Option<&'static str> {
    let differs = [
        ("wait", !step.wait.is_zero()),
        ("worker", step.worker.is_some()),
        ("upstream", step.errand.upstream != first.errand.upstream),
    ];
    differs.into_iter().find_map(|(key, differs)| differs.then_some(key))
}

/// Logs, host calls and calls of clusters are not told apart either, but seen as those of the group.
fn not_told_apart(expect: &Expect) -> Option<&'static str> {
    let wanted = [
        ("details", expect.details.is_some()),
        ("upstream", expect.upstream.is_some()),
        ("clusters", expect.clusters.is_some()),
        ("filter_state", expect.filter_state.is_some()),
    ];
    wanted.into_iter().find_map(|(key, wanted)| wanted.then_some(key))
}
