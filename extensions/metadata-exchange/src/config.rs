//! The configuration as an operator writes it: names, defaults and types, nothing decided yet.

use proxy_wasm_kit::lenient::flag;
use proxy_wasm_kit::{Config, Schema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The plugin configuration.
#[derive(Debug, Default, Deserialize, Config)]
#[serde(deny_unknown_fields)]
#[schema(unknown_keys = "warn")]
pub struct Config {
    /// How many peers are remembered; 0 or less: none.
    #[serde(default, deserialize_with = "size")]
    #[schema(json = r#""type":["number","string"]"#)]
    pub max_peer_cache_size: Size,
    /// Who is downstream: the mesh, or anybody.
    #[serde(default)]
    pub trust: Trust,
    /// The side of the workload that the listener serves; by default what the listener says.
    #[serde(default, deserialize_with = "present")]
    pub direction: Option<Direction>,
    /// What is told of the own workload; by default `full`, or `reduced` where one of the four lists below stands.
    #[serde(default, deserialize_with = "present")]
    pub metadata: Option<Metadata>,
    /// Labels that reduced metadata holds, too.
    #[serde(default)]
    pub additional_labels: Vec<String>,
    /// Whether nothing is told to clusters outside of the mesh.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub skip_external_clusters: Option<bool>,
    /// How the client is known, in the order in which it is tried.
    #[serde(default, deserialize_with = "present")]
    pub downstream_discovery: Option<Vec<Method>>,
    /// How the server is known, in the order in which it is tried.
    #[serde(default, deserialize_with = "present")]
    pub upstream_discovery: Option<Vec<Method>>,
    /// How the client is told.
    #[serde(default, deserialize_with = "present")]
    pub downstream_propagation: Option<Vec<Method>>,
    /// How the server is told.
    #[serde(default, deserialize_with = "present")]
    pub upstream_propagation: Option<Vec<Method>>,
    /// Known to the native filter; a module cannot share filter state with upstream connections.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub shared_with_upstream: Option<bool>,
    /// Known to the native TCP filter; a module does not see the protocol that was negotiated.
    #[serde(default, deserialize_with = "present")]
    pub protocol: Option<String>,
}

impl Config {
    /// For a configuration that cannot be read: nobody is believed, and nobody is told.
    pub fn silent() -> Self {
        Self { trust: Trust::None, upstream_propagation: Some(Vec::new()), ..Self::default() }
    }

    /// How many peers are remembered. What a proxy cannot count is as many as it can.
    pub fn most_peers(&self) -> usize {
        let Size::Of(most) = self.max_peer_cache_size else { return USUAL_SIZE };
        u32::try_from(most.max(0)).unwrap_or(u32::MAX) as usize
    }

    /// What is wrong, and guards nothing: as with the original, the default stands in for it.
    pub fn mistake(&self) -> Option<(&'static str, String)> {
        let Size::Wrong(found) = self.max_peer_cache_size else { return None };
        let remedy = format!("{USUAL_SIZE} is used; write a number, as in \"max_peer_cache_size\": 1000");
        Some(("max_peer_cache_size", format!("expected a whole number, found {found}; {remedy}")))
    }
}

/// How many peers are remembered where nobody says so, as by the original.
const USUAL_SIZE: usize = 500;

/// A number as the original read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// Not stated.
    #[default]
    Usual,
    /// Of a number its whole part.
    Of(i64),
    /// Something else.
    Wrong(&'static str),
}

/// Who is downstream.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Proxies of the mesh, or applications beside this one: what they say of themselves is believed.
    #[default]
    Mesh,
    /// Anybody: what they say is taken away, and they are told nothing.
    None,
}

/// The side of the workload that a listener serves.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From others to the workload beside the proxy.
    Inbound,
    /// From the workload beside the proxy to others.
    Outbound,
}

/// What is told of the own workload.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// All that the original told.
    Full,
    /// What Istio's native filter tells.
    Reduced,
}

/// A way to know a peer, or to be known: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The headers `x-envoy-peer-metadata` and `x-envoy-peer-metadata-id`.
    #[serde(default, deserialize_with = "present")]
    pub istio_headers: Option<IstioHeaders>,
    /// The header `baggage`.
    #[serde(default, deserialize_with = "present")]
    pub baggage: Option<Nothing>,
    /// Known to the native filter; a module has no table of workloads.
    #[serde(default, deserialize_with = "present")]
    pub workload_discovery: Option<Nothing>,
    /// Known to the native filter; a module does not see filter state of the upstream connection.
    #[serde(default, deserialize_with = "present")]
    pub upstream_filter_state: Option<UpstreamFilterState>,
}

/// The headers of metadata exchange.
#[derive(Clone, Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct IstioHeaders {
    /// As for all methods.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub skip_external_clusters: Option<bool>,
}

/// A method without settings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Where another filter left what it knows.
#[derive(Clone, Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamFilterState {
    /// The name of the filter state.
    #[serde(default)]
    pub peer_metadata_key: String,
}

/// A key that is there counts, whatever its value: `null` is a mistake and not an absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn present_flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag(from).map(Some)
}

/// `10`, `10.0` or `"10"`: Istio hands plugin configurations through a type whose numbers are all floating.
fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
    struct AnyValue;

    impl<'de> Visitor<'de> for AnyValue {
        type Value = Size;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E>(self, number: u64) -> Result<Size, E> {
            Ok(Size::Of(i64::try_from(number).unwrap_or(i64::MAX)))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Size, E> {
            Ok(Size::Of(number))
        }

        fn visit_f64<E>(self, number: f64) -> Result<Size, E> {
            Ok(Size::Of(number as i64))
        }

        fn visit_str<E>(self, text: &str) -> Result<Size, E> {
            Ok(text.trim().parse().map_or(Size::Wrong("another text"), Size::Of))
        }

        fn visit_bool<E>(self, _: bool) -> Result<Size, E> {
            Ok(Size::Wrong("true or false"))
        }

        fn visit_unit<E>(self) -> Result<Size, E> {
            Ok(Size::Wrong("null"))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Size, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Size::Wrong("a list"))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Size, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Size::Wrong("an object"))
        }
    }

    from.deserialize_any(AnyValue)
}

#[cfg(test)]
mod tests {
    //! What is read, and what is refused while it is read.

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults() {
        let config = read("{}").unwrap();
        assert_eq!((config.most_peers(), config.trust, config.direction), (500, Trust::Mesh, None));
        assert!(
            config.downstream_discovery.is_none() && config.metadata.is_none() && config.mistake().is_none()
        );
    }

    #[test]
    fn numbers_as_templates_and_istio_write_them() {
        for (text, most) in [
            ("8", 8),
            ("8.0", 8),
            ("8.5", 8),
            ("\"8\"", 8),
            ("\" 8 \"", 8),
            ("-1", 0),
            ("\"-1\"", 0),
            ("0", 0),
            ("5000000000", u32::MAX as usize),
            ("5000000000.0", u32::MAX as usize),
            ("\"5000000000\"", u32::MAX as usize),
            ("18446744073709551615", u32::MAX as usize),
            ("1e300", u32::MAX as usize),
            ("-1e300", 0),
        ] {
            let config = read(&format!("{{\"max_peer_cache_size\": {text}}}")).unwrap();
            assert_eq!((config.most_peers(), config.mistake()), (most, None), "{text}");
        }
    }

    #[test]
    fn a_size_that_is_none_is_told_and_the_default_counts() {
        for (text, found) in [
            ("\"x\"", "another text"),
            ("\"8.5\"", "another text"),
            ("true", "true or false"),
            ("null", "null"),
            ("[1, [2]]", "a list"),
            ("{\"a\": {}}", "an object"),
        ] {
            let config = read(&format!("{{\"max_peer_cache_size\": {text}, \"trust\": \"none\"}}")).unwrap();
            assert_eq!((config.most_peers(), config.trust), (500, Trust::None), "{text}");
            let (path, mistake) = config.mistake().unwrap();
            assert_eq!(path, "max_peer_cache_size");
            assert!(
                mistake.starts_with(&format!("expected a whole number, found {found}; 500")),
                "{mistake}"
            );
        }
    }

    #[test]
    fn the_lists_of_the_native_filter() {
        let config = read(
            r#"{"downstream_discovery": [{"istio_headers": {}}, {"baggage": {}}, {"workload_discovery": {}}],
                "upstream_propagation": [{"istio_headers": {"skip_external_clusters": "true"}}]}"#,
        )
        .unwrap();
        assert_eq!(config.downstream_discovery.unwrap().len(), 3);
        let told = config.upstream_propagation.unwrap();
        assert_eq!(told[0].istio_headers.as_ref().unwrap().skip_external_clusters, Some(true));
        read(r#"{"upstream_discovery": null}"#).unwrap_err();
        read(r#"{"upstream_discovery": [{"istio_headers": null}]}"#).unwrap_err();
    }
}
