//! Header and trailer maps: which one a guest reaches when, and how it reads and edits it (rows 21 to 28).

use super::fields;
use super::guest::Side;
use super::status::Status;
use super::stream::Stream;
use super::vm::Vm;
use crate::exchange::Headers;

/// The maps of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// Headers of one side.
    Headers(Side),
    /// Trailers of one side.
    Trailers(Side),
    /// A map of a callout; the number is the one at the ABI, 4 to 7.
    Callout(u32),
}

impl MapType {
    /// The map with this number at the ABI.
    pub fn from_number(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::Headers(Side::Request),
            1 => Self::Trailers(Side::Request),
            2 => Self::Headers(Side::Response),
            3 => Self::Trailers(Side::Response),
            4..=7 => Self::Callout(number),
            _ => return Err(Status::BAD_ARGUMENT),
        })
    }
}

impl Vm {
    /// `proxy_get_header_map_value`: the first value of a name (row 23).
    pub fn get_header_map_value(&mut self, map: MapType, name: &[u8]) -> Result<Vec<u8>, Status> {
        let logging = self.stream().is_some_and(|stream| stream.seat().logging);
        // In the log phase a map that never was is empty rather than forbidden (row 28).
        let missing = if logging { Status::NOT_FOUND } else { Status::BAD_ARGUMENT };
        let value = self.readable(map).ok_or(missing)?.first(fields::canonical(map, name));
        value.map(<[u8]>::to_vec).ok_or(Status::NOT_FOUND)
    }

    /// `proxy_get_header_map_pairs`: every field; none when the map cannot be reached.
    pub fn get_header_map_pairs(&mut self, map: MapType) -> Headers {
        self.readable(map).cloned().unwrap_or_default()
    }

    /// `proxy_get_header_map_size`: bytes of all names and values. It counts as an access for writing (row 27).
    pub fn get_header_map_size(&mut self, map: MapType) -> Result<usize, Status> {
        let fields = &self.writable(map)?.0;
        Ok(fields.iter().map(|(name, value)| name.len() + value.len()).sum())
    }

    /// `proxy_add_header_map_value`.
    pub fn add_header_map_value(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.edit(map, |headers| fields::add(map, headers, name, value))
    }

    /// `proxy_replace_header_map_value`: removes all fields of that name, then adds one (row 24).
    pub fn replace_header_map_value(
        &mut self,
        map: MapType,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Status> {
        self.edit(map, |headers| {
            headers.remove(fields::canonical(map, name));
            fields::add(map, headers, name, value);
        })
    }

    /// `proxy_remove_header_map_value`.
    pub fn remove_header_map_value(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        self.edit(map, |headers| headers.remove(fields::canonical(map, name)))
    }

    /// `proxy_set_header_map_pairs`: replaces the whole map.
    pub fn set_header_map_pairs(&mut self, map: MapType, pairs: &Headers) -> Result<(), Status> {
        self.edit(map, |headers| *headers = fields::arriving(map, pairs.clone()))
    }

    fn edit(&mut self, map: MapType, change: impl FnOnce(&mut Headers)) -> Result<(), Status> {
        change(self.writable(map)?);
        if map == MapType::Headers(Side::Request)
            && let Some(stream) = self.stream()
        {
            stream.clear_route();
        }
        Ok(())
    }

    fn readable(&mut self, map: MapType) -> Option<&Headers> {
        if let MapType::Callout(number) = map {
            return self.heard().map(number);
        }
        let stream = self.stream()?;
        let logging = stream.seat().logging;
        match map {
            MapType::Headers(side) if logging => stream.half(side).headers.as_ref(),
            MapType::Trailers(Side::Response) if logging => stream.response.trailers.as_ref(),
            MapType::Trailers(Side::Request) if logging => None,
            MapType::Headers(_) | MapType::Trailers(_) => reachable(stream, map).map(|headers| &*headers),
            MapType::Callout(_) => None,
        }
    }

    fn writable(&mut self, map: MapType) -> Result<&mut Headers, Status> {
        let stream = self.stream().ok_or(Status::BAD_ARGUMENT)?;
        if let MapType::Trailers(side) = map {
            make_trailers(stream, side);
        }
        reachable(stream, map).ok_or(Status::BAD_ARGUMENT)
    }
}

/// The map, if its phase is now or the stream still waits in it (row 21).
fn reachable(stream: &mut Stream, map: MapType) -> Option<&mut Headers> {
    match map {
        MapType::Headers(side) => {
            let reach = stream.gate(side).reach;
            stream.half(side).headers.as_mut().filter(|_| reach.headers)
        }
        MapType::Trailers(side) => {
            let reach = stream.gate(side).reach;
            stream.half(side).trailers.as_mut().filter(|_| reach.trailers)
        }
        MapType::Callout(_) => None,
    }
}

/// Writing to trailers in the last body callback makes them, if none are coming (row 27).
fn make_trailers(stream: &mut Stream, side: Side) {
    let last = stream.seat().end_of_stream;
    let reach = &mut stream.gate(side).reach;
    if last && reach.chunk && !reach.trailers {
        reach.trailers = true;
        stream.half(side).trailers.get_or_insert_default();
    }
}
