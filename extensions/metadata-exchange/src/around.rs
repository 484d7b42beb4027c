//! What a stream has around it: the side of the workload that it is on, and the cluster that it goes to.

use crate::policy::plan::{Cluster, Plans, Side};
use proxy_wasm_kit::attributes::{TrafficDirection, xds};
use proxy_wasm_kit::{Expression, Root};
use std::cell::Cell;

/// What is added to the number of the side for a cluster that takes no part.
const DISABLED: i64 = 4;
/// For one that Istio marks as outside of the mesh.
const EXTERNAL: i64 = 8;
/// For the one that takes what has no other.
const PASSTHROUGH: i64 = 16;

/// The side and the sum of those. A mark counts unless it is `false`, and a cluster that is not known counts as external: who
/// is in doubt is told nothing.
const BOTH: &str = r#"(has(xds.listener_direction) ? xds.listener_direction : 0)
 + (has(xds.cluster_metadata)
  ? (xds.cluster_name == "PassthroughCluster" ? 16 : 0)
  + ("istio" in xds.cluster_metadata.filter_metadata
   ? ("disable_mx" in xds.cluster_metadata.filter_metadata["istio"]
    && xds.cluster_metadata.filter_metadata["istio"]["disable_mx"] != false ? 4 : 0)
   + ("external" in xds.cluster_metadata.filter_metadata["istio"]
    && xds.cluster_metadata.filter_metadata["istio"]["external"] != false ? 8 : 0)
   : 0)
  : 8)"#;

/// Asks the proxy, for each stream: Envoy 1.40 has one plugin for all listeners with the same configuration, whatever
/// their direction (1.36 has one for each).
///
/// An expression takes three times as long as an attribute, so it is asked only where the cluster matters.
#[derive(Debug)]
pub(crate) struct Around {
    stated: Option<Side>,
    /// Whether the side matters to a request.
    side: bool,
    /// Whether the cluster matters inbound, and on the other sides.
    cluster: [bool; 2],
    both: Option<Expression<i64>>,
    /// The side of the stream before, which tells what is best asked first.
    last: Cell<Side>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) side: Side,
    pub(crate) cluster: Cluster,
}

impl Around {
    pub(crate) fn new(root: &Root, plans: &Plans, stated: Option<Side>) -> Self {
        let asks = |side| stated.is_none_or(|stated| stated == side) && plans.of(side).asks_for_cluster();
        let cluster = [asks(Side::Inbound), asks(Side::Outbound) || asks(Side::Unspecified)];
        let both = cluster.contains(&true).then(|| root.expression(BOTH));
        let tell = |error: &_| log::warn!("{error}; all clusters count as outside of the mesh");
        let both = both.and_then(|both| both.inspect_err(tell).ok());
        Self {
            stated,
            side: stated.is_none() && plans.differ(),
            cluster,
            both,
            last: Cell::new(Side::Inbound),
        }
    }

    /// Of a request.
    pub(crate) fn of_request(&self) -> Found {
        if self.side || self.cluster.contains(&true) {
            return self.of_connection();
        }
        Found { side: self.stated.unwrap_or_default(), ..Found::default() }
    }

    /// Of a connection, to which the side matters whatever the plans say.
    pub(crate) fn of_connection(&self) -> Found {
        let guess = self.stated.unwrap_or(self.last.get());
        let found = if self.asks_for_cluster(guess) { self.ask_both() } else { self.ask_side() };
        self.last.set(found.side);
        found
    }

    fn asks_for_cluster(&self, side: Side) -> bool {
        let [inbound, others] = self.cluster;
        if side == Side::Inbound { inbound } else { others }
    }

    /// One host call; where that fails, as without CEL, one for the side alone, and the cluster is in doubt.
    fn ask_both(&self) -> Found {
        match self.both.as_ref().and_then(|both| both.evaluate().ok()) {
            Some(number) => found(self.stated, number),
            None => {
                let cluster = Cluster { disabled: false, external: true };
                Found { side: self.stated.unwrap_or_else(side), cluster }
            }
        }
    }

    /// One host call at most; where the guess was wrong, one more.
    fn ask_side(&self) -> Found {
        let side = self.stated.unwrap_or_else(side);
        if self.asks_for_cluster(side) { self.ask_both() } else { Found { side, ..Found::default() } }
    }
}

fn found(stated: Option<Side>, number: i64) -> Found {
    let is = |flag| number & flag != 0;
    let cluster = Cluster { disabled: is(DISABLED), external: is(EXTERNAL | PASSTHROUGH) };
    let side = match number & 3 {
        1 => Side::Inbound,
        2 => Side::Outbound,
        _ => Side::Unspecified,
    };
    Found { side: stated.unwrap_or(side), cluster }
}

/// Of the listener. That it cannot be asked for is no reason to believe strangers, or to tell nobody.
fn side() -> Side {
    match xds().listener_direction() {
        Ok(Some(TrafficDirection::Inbound)) => Side::Inbound,
        Ok(Some(TrafficDirection::Outbound)) => Side::Outbound,
        Ok(Some(TrafficDirection::Unspecified) | None) | Err(_) => Side::Unspecified,
    }
}
