//! What a stream has around it: the side of the workload that it is on, and whether it leaves the mesh. One host call.

use crate::policy::plan::{Plans, Side};
use proxy_wasm_kit::attributes::{TrafficDirection, xds};
use proxy_wasm_kit::{Expression, HostError, Root};

/// What is added to the number of the side where a stream leaves the mesh.
const OUTSIDE: i64 = 4;

/// A cluster that is to be told nothing, whatever the configuration says.
const DISABLED: &str = r#"("istio" in xds.cluster_metadata.filter_metadata
 && "disable_mx" in xds.cluster_metadata.filter_metadata["istio"]
 && xds.cluster_metadata.filter_metadata["istio"]["disable_mx"] == true)"#;

/// A cluster that Istio marks as outside of the mesh, or that takes what has no other.
const EXTERNAL: &str = r#"(xds.cluster_name == "PassthroughCluster"
 || ("istio" in xds.cluster_metadata.filter_metadata
  && "external" in xds.cluster_metadata.filter_metadata["istio"]
  && xds.cluster_metadata.filter_metadata["istio"]["external"] == true))"#;

/// Asks the proxy. The answer differs from stream to stream: listeners with the same configuration share a plugin.
#[derive(Debug)]
pub(crate) struct Around {
    stated: Option<Side>,
    /// Side and `OUTSIDE` in one number. Without CEL, or without a cluster, the side alone is asked for.
    both: Option<Expression<i64>>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) side: Side,
    pub(crate) leaves: bool,
}

impl Around {
    pub(crate) fn new(root: &Root, plans: &Plans, stated: Option<Side>) -> Self {
        let asks = plans.tells_upstream() && stated != Some(Side::Inbound);
        let direction = "xds.listener_direction";
        let leaves =
            if plans.skip_external { format!("({DISABLED} || {EXTERNAL})") } else { DISABLED.into() };
        let source = format!("{direction} == 1 ? 1 : ({leaves} ? {direction} + {OUTSIDE} : {direction})");
        let both = asks.then(|| root.expression(&source));
        let both = both.and_then(|both| both.inspect_err(|error| log::warn!("{error}")).ok());
        Self { stated, both }
    }

    pub(crate) fn look(&self) -> Result<Found, HostError> {
        let both = self.both.as_ref().and_then(|both| both.evaluate().ok());
        let side = match (self.stated, both) {
            (Some(side), _) => side,
            (None, Some(both)) => side(both & !OUTSIDE),
            (None, None) => match xds().listener_direction()? {
                Some(TrafficDirection::Inbound) => Side::Inbound,
                Some(TrafficDirection::Outbound) => Side::Outbound,
                Some(TrafficDirection::Unspecified) | None => Side::Unspecified,
            },
        };
        Ok(Found { side, leaves: both.is_some_and(|both| both & OUTSIDE != 0) })
    }
}

fn side(number: i64) -> Side {
    match number {
        1 => Side::Inbound,
        2 => Side::Outbound,
        _ => Side::Unspecified,
    }
}
