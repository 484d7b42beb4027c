//! Where the proxy routes what a case sends: metadata on the way of requests, clusters for connections.

use super::Case;
use super::load::Fault;

/// What is said of the way must be of what is sent on it.
pub(super) fn fits(case: &Case) -> Result<(), Fault> {
    let require = |holds: bool, line: u64, text: &str| if holds { Ok(()) } else { Err((line, text.into())) };
    let (setup, line) = (&case.setup, case.line);
    let connections = !case.talks.is_empty();
    let metadata = !setup.dynamic_metadata.is_empty()
        || !setup.filter_state.is_empty()
        || !setup.route_metadata.is_empty()
        || !setup.route_name.is_empty();
    require(
        !(metadata && connections),
        line,
        "dynamic_metadata, filter_state, route_metadata, route_name: are of requests; remove `connections`",
    )?;
    require(
        setup.tcp_clusters.is_empty() || connections,
        line,
        "tcp_clusters: are for connections; remove them, or write `connections`",
    )?;
    let taken = |name: &String| {
        ["upstream", "tcp_upstream"].contains(&name.as_str()) || setup.clusters.contains_key(name)
    };
    let twice = setup.tcp_clusters.iter().find(|name| taken(name));
    if let Some(name) = twice {
        return Err((line, format!("tcp_clusters: {name} is another cluster already; take another name")));
    }
    let silent = case.talks.iter().find(|talk| talk.connection.source.is_none());
    let announced = case.talks.iter().any(|talk| talk.connection.source.is_some());
    match silent.filter(|_| announced) {
        Some(talk) => {
            require(false, talk.line, "from: give it for all connections of the case, or for none of them")
        }
        None => Ok(()),
    }
}
