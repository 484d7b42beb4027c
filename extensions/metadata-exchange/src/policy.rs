//! What is decided: whom to believe, what to tell whom. Values in, values out.

pub mod baggage;
pub mod frame;
pub mod local;
pub mod lru;
pub mod peers;
pub mod plan;

use local::Local;
use plan::Way;

/// What a proxy says of its workload: base64 of a `google.protobuf.Struct`.
pub const METADATA: &str = "x-envoy-peer-metadata";
/// The id of the proxy's node.
pub const ID: &str = "x-envoy-peer-metadata-id";
/// What the workload is, in W3C baggage.
pub const BAGGAGE: &str = "baggage";

/// The id under which consumers find a peer whose id nobody said, as with Istio's native filter.
pub const UNKNOWN_ID: &[u8] = b"unknown";

/// The longest id that is believed.
const LONGEST_ID: usize = 1024;

/// What a message says of its sender, of each header all values.
#[derive(Debug, Default)]
pub struct Said<'a> {
    id: Header<'a>,
    /// The id, if it is one that can be believed.
    believable: Option<&'a [u8]>,
    metadata: Header<'a>,
    /// All values of `baggage`, joined.
    pub baggage: Option<Vec<u8>>,
    /// Whether Envoy says that it follows a redirect itself.
    pub redirected: bool,
}

/// A header that must not be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Header<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Header<'a> {
    fn and(self, value: &'a [u8]) -> Self {
        if self == Self::Absent { Self::Once(value) } else { Self::Repeated }
    }

    fn is(self, value: &str) -> bool {
        !value.is_empty() && matches!(self, Self::Once(found) if found == value.as_bytes())
    }

    fn value(self) -> Option<&'a [u8]> {
        if let Self::Once(value) = self { Some(value).filter(|value| !value.is_empty()) } else { None }
    }
}

/// What of a request this proxy itself has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The two headers.
    pub headers: Has,
    /// Its members of `baggage`.
    pub baggage: bool,
}

/// For each of the two headers whether something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Has {
    /// That of the id.
    pub id: bool,
    /// That of the metadata.
    pub metadata: bool,
}

impl<'a> Said<'a> {
    /// In one walk over the headers.
    pub fn in_headers(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            match name {
                b"x-envoy-peer-metadata" => said.metadata = said.metadata.and(value),
                b"x-envoy-peer-metadata-id" => said.id = said.id.and(value),
                b"baggage" => said.add_baggage(value),
                b"x-envoy-original-url" => said.redirected = true,
                _ => {}
            }
        }
        said.believable = said.id.value().filter(|id| is_id(id));
        said
    }

    fn add_baggage(&mut self, value: &[u8]) {
        match &mut self.baggage {
            None => self.baggage = Some(value.to_vec()),
            Some(baggage) => {
                baggage.push(b',');
                baggage.extend_from_slice(value);
            }
        }
    }

    /// Forgets what this proxy itself has written in these ways, and tells what that was: after an internal redirect
    /// Envoy runs the filters again, over the headers that they left.
    pub fn forget_own(&mut self, local: &Local, ways: &[Way]) -> Own {
        let mut own = Own::default();
        if ways.contains(&Way::Headers) {
            own.headers = Has { id: self.id.is(&local.id), metadata: self.metadata.is(&local.metadata) };
        }
        if own.headers.id {
            (self.id, self.believable) = (Header::Absent, None);
        }
        if own.headers.metadata {
            self.metadata = Header::Absent;
        }
        let rest = self.baggage.as_deref().filter(|_| ways.contains(&Way::Baggage));
        if let Some(rest) = rest.and_then(|sent| baggage::without(sent, &local.baggage)) {
            self.baggage = Some(rest).filter(|rest| !rest.is_empty());
            own.baggage = true;
        }
        own
    }

    /// The id, if it is one that can be believed.
    pub fn id(&self) -> Option<&'a [u8]> {
        self.believable
    }

    /// The metadata, as it was sent.
    pub fn metadata(&self) -> Option<&'a [u8]> {
        self.metadata.value()
    }

    /// Which headers are there, empty and repeated ones included.
    pub fn has(&self) -> Has {
        Has { id: self.id != Header::Absent, metadata: self.metadata != Header::Absent }
    }

    /// Which headers say something, whether it can be believed or not.
    pub fn says(&self) -> Has {
        let empty = Header::Once(b"");
        let says = |header| header != Header::Absent && header != empty;
        Has { id: says(self.id), metadata: says(self.metadata) }
    }

    /// What cannot be believed whatever it says.
    pub fn fault(&self) -> Option<&'static str> {
        match (self.metadata, self.id) {
            (Header::Repeated, _) => Some("x-envoy-peer-metadata is repeated"),
            (_, Header::Repeated) => Some("x-envoy-peer-metadata-id is repeated"),
            (_, Header::Once(id)) if !id.is_empty() && self.id().is_none() => {
                Some("x-envoy-peer-metadata-id is too long, or not text")
            }
            _ => None,
        }
    }
}

/// Whether this can be the id of a node.
fn is_id(id: &[u8]) -> bool {
    let in_bounds = !id.is_empty() && id.len() <= LONGEST_ID;
    in_bounds && !id.iter().any(u8::is_ascii_control) && std::str::from_utf8(id).is_ok()
}

#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;
