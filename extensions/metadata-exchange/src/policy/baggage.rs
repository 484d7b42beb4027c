//! Workloads in the header `baggage`, as Istio's proxies write them: members of W3C baggage with names of OpenTelemetry.

use proxy_wasm_kit_mesh::Peer;
use std::collections::BTreeMap;

/// The most that members about workloads may take together: as much as W3C obliges anybody to pass on in all.
pub const LONGEST: usize = 8192;

/// What members a label is told by.
const LABELS: [(&str, &str); 4] = [
    ("service.name", "service.istio.io/canonical-name"),
    ("service.version", "service.istio.io/canonical-revision"),
    ("app.name", "app"),
    ("app.version", "version"),
];

/// The kinds of workloads, as they stand in a member's name; in the plural, in the path of an owner.
const KINDS: [&str; 4] = ["deployment", "cronjob", "job", "pod"];

/// Where owners are.
const OWNERS: &str = "kubernetes://apis/apps/v1/namespaces";

/// Members that say something of a workload, the last of each name.
#[derive(Debug, Default)]
struct Members<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Members<'a> {
    fn of(text: &'a [u8]) -> Self {
        let members = text.split(|byte| *byte == b',').filter_map(|member| std::str::from_utf8(member).ok());
        let members = members.filter_map(|member| member.split(';').next()?.split_once('='));
        let members = members.map(|(name, value)| (name.trim(), value.trim()));
        Self(members.filter(|(_, value)| !value.contains(char::is_control)).collect())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied().filter(|value| !value.is_empty())
    }

    /// The kind and the name of the workload.
    fn workload(&self) -> Option<(&'a str, &'a str)> {
        let named = |kind: &'static str| Some((kind, self.get(&format!("k8s.{kind}.name"))?));
        let stated =
            || Some((self.get("k8s.workload.type").unwrap_or("pod"), self.get("k8s.workload.name")?));
        KINDS.into_iter().find_map(named).or_else(stated)
    }
}

/// The header with nothing in it but what tells of workloads.
pub fn workloads(text: &[u8]) -> Vec<u8> {
    members(text).filter(|member| is_workload(member)).collect::<Vec<_>>().join(&b',')
}

fn members(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

fn is_workload(member: &[u8]) -> bool {
    let name = member.split(|byte| b"=;".contains(byte)).next().unwrap_or_default().trim_ascii();
    let named = LABELS.iter().any(|(member, _)| member.as_bytes() == name);
    named || name.starts_with(b"k8s.") || name.starts_with(b"cloud.")
}

/// The workload that these members tell of; `None` when they do not.
pub fn read(workloads: &[u8]) -> Option<Peer> {
    let members = Members::of(workloads);
    let owned = |value: &str| value.to_owned();
    let workload = members.workload();
    let namespace = members.get("k8s.namespace.name");
    // A pod and the run of a job are instances of themselves.
    let instances = ["k8s.instance.name", "k8s.pod.name", "k8s.job.name"];
    let instance = instances.into_iter().find_map(|name| members.get(name));
    let labels =
        LABELS.iter().filter_map(|(member, label)| Some((owned(label), owned(members.get(member)?))));
    let owner = workload.zip(namespace).map(|((kind, name), namespace)| owner(namespace, kind, name));
    let peer = Peer {
        name: instance.map(owned),
        namespace: namespace.map(owned),
        workload_name: workload.map(|(_, name)| owned(name)),
        cluster_id: members.get("k8s.cluster.name").map(owned),
        labels: labels.collect(),
        owner,
        ..Peer::default()
    };
    (peer != Peer::default()).then_some(peer)
}

/// An owner as a path.
pub fn owner(namespace: &str, kind: &str, name: &str) -> String {
    format!("{OWNERS}/{namespace}/{kind}s/{name}")
}

/// The kind of a workload by its owner; `None` when it is none of those that have a name in baggage.
pub fn kind(peer: &Peer) -> Option<&'static str> {
    let name = peer.workload_name.as_deref()?;
    let path = peer.owner.as_deref()?.strip_suffix(name)?.strip_suffix("s/")?;
    let (_, kind) = path.rsplit_once('/')?;
    KINDS.into_iter().find(|known| *known == kind)
}

/// The members that tell of a workload, where it runs included.
pub fn write(peer: &Peer, region: &str, zone: &str) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = format!("k8s.{}.name", kind(peer).unwrap_or("workload"));
    let place = [("cloud.region", region), ("cloud.availability_zone", zone)];
    let head = [
        (name.as_str(), text(&peer.workload_name)),
        ("k8s.cluster.name", text(&peer.cluster_id)),
        ("k8s.namespace.name", text(&peer.namespace)),
    ];
    let labels =
        LABELS.iter().map(|(member, label)| (*member, peer.label(label).unwrap_or_default().to_owned()));
    let tail = [("k8s.instance.name", text(&peer.name))];
    let place = place.map(|(name, value)| (name, value.to_owned()));
    let members = head.into_iter().chain(labels).chain(place).chain(tail);
    let members = members.filter(|(_, value)| is_plain(value));
    members.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Whether a value needs no encoding, which Istio's proxies would not undo.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\%".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

/// The header with the own members in it, and all that others wrote there of other things.
pub fn merged(sent: Option<&[u8]>, own: &str) -> Vec<u8> {
    let theirs = members(sent.unwrap_or_default()).filter(|member| !is_workload(member));
    [own.as_bytes()].into_iter().filter(|own| !own.is_empty()).chain(theirs).collect::<Vec<_>>().join(&b',')
}

/// The header without workloads; `None` where it has none.
pub fn stripped(sent: &[u8]) -> Option<Vec<u8>> {
    members(sent).any(is_workload).then(|| merged(Some(sent), ""))
}

/// The header without the own members, where all of them stand in it; `None` where they do not.
pub fn without(sent: &[u8], own: &str) -> Option<Vec<u8>> {
    let is_own = |member: &&[u8]| members(own.as_bytes()).any(|own| own == *member);
    let all = !own.is_empty() && members(own.as_bytes()).all(|own| members(sent).any(|member| member == own));
    all.then(|| members(sent).filter(|member| !is_own(member)).collect::<Vec<_>>().join(&b','))
}
