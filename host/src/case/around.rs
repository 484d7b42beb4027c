//! What is around the plugin in a case file: clusters, their answers and faults, and time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::format::{Answer, Field, Upstream};
use super::load::{fields, response_message};
use super::text::Text;
use crate::exchange::Headers;
use crate::outside::{self, Fault};

/// Clusters by name.
pub(super) type Clusters = BTreeMap<String, Vec<Answer>>;

/// How a gRPC server answers: its first message to the first of the client, and so on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grpc {
    /// 0, success, by default. Success comes when the client has ended its side, an error after the last message.
    #[serde(default)]
    status: u32,
    /// The text of the status.
    #[serde(default)]
    text: String,
    /// Messages, not framed.
    #[serde(default)]
    messages: Vec<Text>,
    /// Initial metadata.
    #[serde(default)]
    metadata: Vec<Field>,
    /// Trailing metadata, besides the status.
    #[serde(default)]
    trailers: Vec<Field>,
}

/// The clusters that a case says, ready to be called.
pub(super) fn clusters(clusters: &Clusters) -> Result<BTreeMap<String, outside::Cluster>, String> {
    let cluster = |(name, answers): (&String, &Vec<Answer>)| {
        let about = |text: String| format!("clusters.{name}: {text}");
        if ["upstream", "tcp_upstream"].contains(&name.as_str()) {
            return Err(about("is what stands behind the proxy; take another name".into()));
        }
        let alone = |answer: &Answer| matches!(answer.fault, Some(Fault::Refuse | Fault::NoHost));
        if answers.len() > 1 && answers.iter().any(alone) {
            return Err(about(
                "`refuse` and `no_host` are of the whole cluster; make it the only answer".into(),
            ));
        }
        let answers = answers.iter().map(answer).collect::<Result<_, _>>().map_err(about)?;
        Ok((name.clone(), outside::Cluster { answers }))
    };
    clusters.iter().map(cluster).collect()
}

fn answer(given: &Answer) -> Result<outside::Answer, String> {
    let plain = given.status.is_some() || given.body.is_some() || given.chunks.is_some();
    if given.grpc.is_some() && (plain || !given.headers.is_empty() || !given.trailers.is_empty()) {
        return Err("has `grpc` and a plain answer; keep one".into());
    }
    Ok(outside::Answer {
        message: response_message(given)?,
        delay: given.delay.map_or(Duration::ZERO, |span| span.0),
        fault: given.fault,
        grpc: given.grpc.clone().map(|grpc| outside::GrpcAnswer {
            status: grpc.status,
            text: grpc.text,
            metadata: Headers(fields(&grpc.metadata)),
            trailers: Headers(fields(&grpc.trailers)),
            messages: grpc.messages.into_iter().map(|message| message.0).collect(),
        }),
    })
}

/// What the upstream of a request does. It has the whole request when it answers, by gRPC too.
pub(super) fn upstream(given: &Answer) -> Result<outside::Answer, String> {
    let mut answer = answer(given)?;
    if let Some(grpc) = answer.grpc.take() {
        answer.message = outside::grpc_response(&grpc).header("transfer-encoding", "chunked");
    }
    Ok(answer)
}

/// A time that passes: `150ms`, `2s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        span(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "\"{text}\" is no time; write a whole number and ms, s, m or h, as in `150ms`"
            ))
        })
    }
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(factor)?))
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$", "description": "A time that passes, as in `150ms`."})
    }
}

/// A point of time, as in `2026-01-31T12:00:00Z`; nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) u64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        moment(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!("\"{text}\" is no point of time; write it as in `2026-01-31T12:00:00Z`"))
        })
    }
}

/// Seconds since 1970, as nanoseconds.
fn moment(text: &str) -> Option<u64> {
    let mut numbers = text.strip_suffix('Z')?.split(['-', 'T', ':']).map(|part| part.parse::<u64>().ok());
    let parts: [u64; 6] = std::array::from_fn(|_| numbers.next().flatten().unwrap_or(u64::MAX));
    let [year, month, day, hour, minute, second] = parts;
    let shape = text.len() == 20 && numbers.next().is_none();
    let days = days_of(year).get(..usize::try_from(month).ok()?.checked_sub(1)?)?.to_vec();
    let fits =
        month <= 12 && (1..=length(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !shape || !fits || !(1970..2500).contains(&year) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + days.iter().sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000)
}

fn days_of(year: u64) -> [u64; 12] {
    std::array::from_fn(|index| length(year, index as u64 + 1))
}

fn length(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "description": "A point of time, as in `2026-01-31T12:00:00Z`."})
    }
}

/// What has reached a cluster: `none`, `any`, one request or several, in order.
#[derive(Clone, Debug)]
pub(super) enum Called {
    None,
    Any,
    These(Vec<Upstream>),
}

impl<'de> Deserialize<'de> for Called {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CalledVisitor)
    }
}

struct CalledVisitor;

impl<'de> Visitor<'de> for CalledVisitor {
    type Value = Called;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`none`, `any`, a mapping of what must have reached the cluster, or a list of those")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Called, E> {
        match word {
            "none" => Ok(Called::None),
            "any" => Ok(Called::Any),
            other => Err(E::unknown_variant(other, &["none", "any"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Called, A::Error> {
        Upstream::deserialize(MapAccessDeserializer::new(map)).map(|one| Called::These(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Called, A::Error> {
        let mut these = Vec::new();
        while let Some(one) = list.next_element()? {
            these.push(one);
        }
        Ok(Called::These(these))
    }
}

impl JsonSchema for Called {
    fn schema_name() -> Cow<'static, str> {
        "Called".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let request = generator.subschema_for::<Upstream>();
        json_schema!({"oneOf": [
            {"enum": ["none", "any"]},
            request,
            {"type": "array", "items": request, "minItems": 1, "description": "Exactly these, in this order."},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_moments_are_read() {
        assert_eq!(span("150ms"), Some(Duration::from_millis(150)));
        assert_eq!(span("2m"), Some(Duration::from_secs(120)));
        for wrong in ["", "5", "ms", "1.5s", "5 s", "5d", "99999999999999999999s"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
        assert_eq!(moment("1994-11-06T08:49:37Z"), Some(784_111_777_000_000_000));
        assert_eq!(moment("2000-02-29T00:00:00Z"), Some(951_782_400_000_000_000));
        for wrong in
            ["", "2026-01-01", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z"]
        {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }
}
