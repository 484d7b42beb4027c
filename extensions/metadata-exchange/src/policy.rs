//! What is decided: whom to believe, what to tell whom. Values in, values out.

pub mod baggage;
pub mod frame;
pub mod local;
pub mod lru;
pub mod peers;
pub mod plan;

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

    fn value(self) -> Option<&'a [u8]> {
        if let Self::Once(value) = self { Some(value).filter(|value| !value.is_empty()) } else { None }
    }
}

/// For each of the two headers whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
