//! Labels as Istio's own tests expect them, for what cases cannot say: certificates, peers, metadata of clusters.

use super::*;
use crate::config::{Definition, Override};
use proptest::prelude::*;

fn workload(name: &str, labels: [&str; 5]) -> Workload {
    let [app, version, service, revision, cluster] = labels.map(str::to_owned);
    Workload {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        app,
        version,
        canonical_service: service,
        canonical_revision: revision,
        cluster,
        identity: String::new(),
        has_labels: true,
    }
}

fn productpage() -> Workload {
    workload("productpage-v1", ["productpage", "v1", "productpage", "version-1", "client-cluster"])
}

fn ratings() -> Workload {
    workload("ratings-v1", ["ratings", "v1", "ratings", "version-1", "server-cluster"])
}

fn policy(rules: Rules, own: Workload) -> Policy {
    let separators = Separators { field: ";.;".to_owned(), value: "=.=".to_owned() };
    Policy { rules, host_fallback: true, own, separators }
}

const OK: [u8; 8] = [200, 0, 0, 0, 0, 0, 0, 0];

/// A request to the service `server` in a mesh without certificates.
fn request() -> Facts<'static> {
    let mut facts = Facts::default();
    facts.set(Fact::Code, &OK);
    facts.set(Fact::Host, b"server.default.svc.cluster.local:80");
    facts.set(Fact::ServiceName, b"server");
    facts.set(Fact::ServiceHost, b"server.default.svc.cluster.local");
    facts.set(Fact::ServiceNamespace, b"backend");
    facts
}

fn value(vector: &Vector<'_>, label: &str) -> String {
    let at = NAMES.iter().position(|name| *name == label).unwrap();
    vector.values()[at].clone()
}

#[track_caller]
fn assert_labels(vector: &Vector<'_>, expected: &str) {
    for line in expected.split_whitespace() {
        let (label, expected) = line.split_once('=').unwrap();
        assert_eq!(value(vector, label), expected, "{label}");
    }
}

#[test]
fn a_client_with_a_peer_reports_as_in_the_tests_of_istio() {
    let (policy, upstream) = (policy(Rules::Original, productpage()), ratings());
    let peers = Peers { upstream: Some(&upstream), ..Peers::default() };
    let facts = request();
    let vector = policy.vector(Side::Outbound, Protocol::Http, &facts, peers);
    assert_labels(
        &vector,
        "reporter=source source_workload=productpage-v1 source_canonical_service=productpage
         source_canonical_revision=version-1 source_workload_namespace=default source_principal=unknown
         source_app=productpage source_version=v1 source_cluster=client-cluster destination_workload=ratings-v1
         destination_workload_namespace=default destination_principal=unknown destination_app=ratings
         destination_version=v1 destination_service=server.default.svc.cluster.local
         destination_canonical_service=ratings destination_canonical_revision=version-1
         destination_service_name=server destination_service_namespace=default destination_cluster=server-cluster
         request_protocol=http response_code=200 grpc_response_status= response_flags=-
         connection_security_policy=unknown",
    );
}

#[test]
fn a_server_with_a_peer_and_certificates() {
    let (own, downstream, mut facts) = (ratings(), productpage(), request());
    facts.set(Fact::SourcePrincipal, b"spiffe://cluster.local/ns/front/sa/client");
    facts.set(Fact::DestinationPrincipal, b"spiffe://cluster.local/ns/back/sa/server");
    facts.set(Fact::Mtls, &[1]);
    let peers = Peers { downstream: Some(&downstream), ..Peers::default() };
    let principals = "source_principal=spiffe://cluster.local/ns/front/sa/client
        destination_principal=spiffe://cluster.local/ns/back/sa/server connection_security_policy=mutual_tls";
    let original = policy(Rules::Original, own.clone());
    let vector = original.vector(Side::Inbound, Protocol::Tcp, &facts, peers);
    assert_labels(&vector, principals);
    assert_labels(&vector, "source_workload_namespace=default destination_workload_namespace=default");
    let native = policy(Rules::Native, own);
    let vector = native.vector(Side::Inbound, Protocol::Tcp, &facts, peers);
    assert_labels(&vector, principals);
    assert_labels(&vector, "source_workload_namespace=front destination_workload_namespace=default");
    assert_labels(&vector, "destination_service_namespace=default");
}

#[test]
fn a_waypoint_knows_of_the_server_what_its_peer_says() {
    let mut native = policy(Rules::Native, productpage());
    native.host_fallback = false;
    let mut facts = Facts::default();
    facts.set(Fact::SourcePrincipal, b"spiffe://a/ns/front/sa/client");
    facts.set(Fact::DestinationPrincipal, b"spiffe://a/ns/mesh/sa/waypoint");
    let server = Workload { identity: "spiffe://a/ns/back/sa/server".to_owned(), ..ratings() };
    let of = |upstream| Peers { upstream, ..Peers::default() };
    let known = native.vector(Side::Waypoint, Protocol::Http, &facts, of(Some(&server)));
    assert_labels(
        &known,
        "destination_principal=spiffe://a/ns/back/sa/server connection_security_policy=mutual_tls
         destination_service=unknown destination_service_name=unknown destination_service_namespace=unknown
         destination_workload_namespace=default",
    );
    let unknown = native.vector(Side::Waypoint, Protocol::Http, &facts, of(None));
    assert_labels(&unknown, "destination_principal=unknown connection_security_policy=mutual_tls");
    let original = Policy { rules: Rules::Original, ..native.clone() };
    let vector = original.vector(Side::Waypoint, Protocol::Http, &facts, of(Some(&server)));
    assert_labels(
        &vector,
        "destination_principal=spiffe://a/ns/mesh/sa/waypoint destination_service=productpage
         destination_service_namespace=default",
    );
}

#[test]
fn without_labels_a_peer_is_no_canonical_service() {
    let of = |has_labels, rules| {
        let peer = Workload { canonical_service: String::new(), has_labels, ..productpage() };
        let (policy, facts) = (policy(rules, ratings()), Facts::default());
        let peers = Peers { downstream: Some(&peer), ..Peers::default() };
        let vector = policy.vector(Side::Inbound, Protocol::Http, &facts, peers);
        value(&vector, "source_canonical_service")
    };
    for (has_labels, rules, service) in [
        (true, Rules::Original, "productpage-v1"),
        (false, Rules::Original, "unknown"),
        (true, Rules::Native, "unknown"),
        (false, Rules::Native, "unknown"),
    ] {
        assert_eq!(of(has_labels, rules), service, "{rules:?}, {has_labels}");
    }
}

#[test]
fn an_endpoint_without_a_canonical_service_is_called_by_its_workload_where_the_original_did() {
    let endpoint = Workload::of_endpoint(b"ratings-v1;default;;;c").unwrap();
    let of = |rules| {
        let (policy, facts) = (policy(rules, productpage()), Facts::default());
        let peers = Peers { upstream: Some(&endpoint), ..Peers::default() };
        let vector = policy.vector(Side::Outbound, Protocol::Http, &facts, peers);
        [value(&vector, "destination_canonical_service"), value(&vector, "destination_canonical_revision")]
    };
    assert_eq!(of(Rules::Original), ["ratings-v1", "latest"]);
    assert_eq!(of(Rules::Native), ["unknown", "latest"]);
}

#[test]
fn by_the_new_rules_the_own_workload_is_what_its_node_says_be_it_nothing() {
    let own = Workload { name: "shop-v1".to_owned(), has_labels: true, ..Workload::default() };
    let mut policy = policy(Rules::Native, own);
    policy.host_fallback = false;
    let facts = Facts::default();
    assert_labels(
        &policy.vector(Side::Inbound, Protocol::Http, &facts, Peers::default()),
        "source_workload=unknown source_canonical_service=unknown source_canonical_revision=latest
         source_cluster=unknown destination_workload=shop-v1 destination_workload_namespace= destination_app=
         destination_version= destination_canonical_service= destination_canonical_revision= destination_cluster=
         destination_service= destination_service_name= destination_service_namespace= destination_principal=unknown",
    );
    assert_labels(
        &policy.vector(Side::Outbound, Protocol::Http, &facts, Peers::default()),
        "source_workload=shop-v1 source_workload_namespace= source_app= source_canonical_service=
         source_canonical_revision= source_cluster= source_principal=unknown destination_workload=unknown
         destination_canonical_revision=latest destination_service=unknown destination_service_namespace=unknown",
    );
}

#[test]
fn a_host_that_a_client_names_is_told_with_whether_a_route_took_it() {
    let mut policy = policy(Rules::Original, ratings());
    let mut facts = Facts::default();
    facts.set(Fact::Host, b"ShOp.example:80");
    let told = |policy: &Policy, facts: &Facts<'_>, protocol| {
        let host = policy.host_of_client(Side::Inbound, protocol, facts)?;
        Some((String::from_utf8(host.0.into_owned()).unwrap(), host.1))
    };
    let (nowhere, somewhere) = (("shop.example:80".to_owned(), false), ("shop.example:80".to_owned(), true));
    assert_eq!(told(&policy, &facts, Protocol::Http), Some(nowhere));
    for fact in [Fact::ClusterName, Fact::RouteName] {
        let mut facts = facts;
        facts.set(fact, b"a");
        assert_eq!(told(&policy, &facts, Protocol::Grpc), Some(somewhere.clone()));
    }
    assert_eq!(told(&policy, &facts, Protocol::Tcp), None);
    assert_eq!(told(&policy, &request(), Protocol::Http), None);
    policy.host_fallback = false;
    assert_eq!(told(&policy, &facts, Protocol::Http), None);
}

#[test]
fn mutual_tls_is_what_the_connection_says_or_that_both_have_a_certificate() {
    let mut facts = request();
    facts.set(Fact::Mtls, &[1]);
    let of = |rules, facts: &Facts<'_>, side| {
        value(
            &policy(rules, ratings()).vector(side, Protocol::Http, facts, Peers::default()),
            "connection_security_policy",
        )
    };
    assert_eq!(of(Rules::Original, &facts, Side::Inbound), "mutual_tls");
    assert_eq!(of(Rules::Native, &facts, Side::Inbound), "none");
    assert_eq!(of(Rules::Original, &facts, Side::Outbound), "unknown");
    facts.set(Fact::Mtls, &[0]);
    facts.set(Fact::SourcePrincipal, b"spiffe://a/ns/b/sa/c");
    facts.set(Fact::DestinationPrincipal, b"spiffe://a/ns/b/sa/d");
    assert_eq!(of(Rules::Original, &facts, Side::Inbound), "none");
    assert_eq!(of(Rules::Native, &facts, Side::Inbound), "mutual_tls");
    assert_eq!(of(Rules::Native, &facts, Side::Outbound), "unknown");
}

#[test]
fn by_the_new_rules_a_client_believes_certificates_then_metadata() {
    let native = policy(Rules::Native, productpage());
    let upstream = Workload { identity: "spiffe://cluster.local/ns/back/sa/said".to_owned(), ..ratings() };
    let peers = Peers { upstream: Some(&upstream), ..Peers::default() };
    let mut facts = request();
    assert_labels(
        &native.vector(Side::Outbound, Protocol::Http, &facts, peers),
        "destination_principal=spiffe://cluster.local/ns/back/sa/said destination_workload_namespace=back
         destination_service_namespace=backend",
    );
    facts.set(Fact::DestinationPrincipal, b"spiffe://cluster.local/ns/proven/sa/server");
    assert_labels(
        &native.vector(Side::Outbound, Protocol::Http, &facts, peers),
        "destination_principal=spiffe://cluster.local/ns/proven/sa/server destination_workload_namespace=proven",
    );
    let original = policy(Rules::Original, productpage());
    facts.set(Fact::DestinationPrincipal, b"");
    assert_labels(
        &original.vector(Side::Outbound, Protocol::Http, &facts, peers),
        "destination_principal=unknown destination_service_namespace=default",
    );
}

#[test]
fn a_waypoint_knows_neither_side_by_itself() {
    let (downstream, upstream) = (productpage(), ratings());
    let peers = Peers { downstream: Some(&downstream), upstream: Some(&upstream) };
    let native = policy(Rules::Native, workload("waypoint", [""; 5]));
    let facts = request();
    assert_labels(
        &native.vector(Side::Waypoint, Protocol::Http, &facts, peers),
        "reporter=waypoint source_workload=productpage-v1 destination_workload=ratings-v1
         destination_service_namespace=backend destination_canonical_revision=version-1",
    );
}

#[test]
fn grpc_without_a_status() {
    let facts = request();
    let status = |rules| {
        value(
            &policy(rules, ratings()).vector(Side::Inbound, Protocol::Grpc, &facts, Peers::default()),
            "grpc_response_status",
        )
    };
    assert_eq!((status(Rules::Original).as_str(), status(Rules::Native).as_str()), ("2", ""));
}

#[test]
fn the_module_tells_its_labels() {
    let mut lines = include_str!("../labels.txt").lines();
    let told: Vec<_> = lines.by_ref().take(NAMES.len()).collect();
    assert_eq!(told, NAMES);
    // pwkit stats-tags reads these of a configuration.
    let keys = lines.filter_map(|line| line.strip_prefix("< ").or_else(|| line.strip_prefix("> ")));
    for key in keys {
        serde_json::from_str::<crate::config::Config>(&format!(r#"{{"{key}": "|"}}"#)).unwrap();
    }
}

#[test]
fn an_endpoint_says_five_things() {
    let endpoint = Workload::of_endpoint(b"w;ns;svc;rev;cluster;more").unwrap();
    let expected = workload("w", ["", "", "svc", "rev", "cluster"]);
    assert_eq!(endpoint, Workload { namespace: "ns".to_owned(), ..expected });
    assert_eq!(Workload::of_endpoint(b"w;ns;svc;rev"), None);
    assert_eq!(Workload::of_endpoint(b""), None);
}

#[test]
fn messages_are_a_pair_of_numbers() {
    for (text, messages) in
        [("3,13", (3, 13)), ("", (0, 0)), ("x,5", (0, 5)), ("3", (0, 0)), ("-1,1", (0, 1))]
    {
        let mut facts = Facts::default();
        facts.set(Fact::Messages, text.as_bytes());
        assert_eq!(facts.messages(), messages, "{text}");
    }
}

/// Plans with an expression for each text, numbered as they come; those that hold `!` do not compile.
fn plans(definitions: &[Definition], overrides: &[Override]) -> (Plans, Vec<Mistake>, Vec<String>) {
    let mut sources = Vec::new();
    let mut compile = |source: &str, _: Gives| {
        if source.contains('!') {
            return Err("no".to_owned());
        }
        let number = sources.len();
        sources.push(source.to_owned());
        Ok(number)
    };
    let (plans, mistakes) = Plans::new(definitions, overrides, Rules::Original, &mut compile);
    (plans, mistakes, sources)
}

#[test]
fn at_most_64_conditions() {
    let change = |_| Override { when: "true".to_owned(), drop: true, ..Override::default() };
    let overrides: Vec<_> = (0..65).map(change).collect();
    let (plans, mistakes, _) = plans(&[], &overrides);
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].path, "metrics[64].match");
    let (held, plan) = plans.plan(|condition| condition == 63);
    assert_eq!(held, 1 << 63);
    assert!(plan.0.iter().all(|metric| metric.is_dropped));
    assert!(plans.plan(|_| false).1.0.iter().all(|metric| !metric.is_dropped));
}

proptest! {
    /// Two combinations have one key only if all their labels are the same.
    #[test]
    fn keys_tell_labels_apart(
        texts in prop::collection::vec(prop::collection::vec("[ab;]{0,2}", 6), 2),
        codes in prop::collection::vec(0_i64..3, 2),
    ) {
        let policy = policy(Rules::Original, Workload::default());
        let made: Vec<_> = texts.iter().zip(&codes).map(|(texts, code)| {
            let peer = Workload { name: texts[0].clone(), namespace: texts[1].clone(), ..Workload::default() };
            let (code, mut facts) = (code.to_le_bytes(), Facts::default());
            for (fact, text) in [Fact::Host, Fact::ServiceName, Fact::SourcePrincipal].into_iter().zip(&texts[2..]) {
                facts.set(fact, text.as_bytes());
            }
            facts.set(Fact::Code, &code);
            let peers = Peers { downstream: Some(&peer), ..Peers::default() };
            let vector = policy.vector(Side::Inbound, Protocol::Http, &facts, peers);
            (policy.key(&vector, 0, texts.iter().skip(5).map(String::as_str)), vector.values(), texts[5].clone())
        }).collect();
        if made[0].0 == made[1].0 {
            prop_assert_eq!((&made[0].1, &made[0].2), (&made[1].1, &made[1].2));
        }
    }

    /// No configuration makes a plan that cannot name its series.
    #[test]
    fn every_plan_names_its_series(
        labels in prop::collection::btree_map("[a-z_]{1,4}|reporter|response_code", "[a!]", 0..4),
        removed in prop::collection::vec("reporter|[a-z_]{1,4}", 0..3),
        name in "|requests_total|x",
    ) {
        let change = Override { name, dimensions: labels, tags_to_remove: removed, ..Override::default() };
        let definition = Definition { name: "x".to_owned(), value: "1".to_owned(), ..Definition::default() };
        let (plans, _, _) = plans(&[definition], &[change]);
        let policy = policy(Rules::Original, ratings());
        let facts = request();
        let vector = policy.vector(Side::Inbound, Protocol::Http, &facts, Peers::default());
        for metric in &plans.plan(|_| true).1.0 {
            let series = policy.series(metric, &vector.values(), &|_| "value");
            let name = format!("istio_{}", metric.name);
            prop_assert!(series.ends_with(&name), "{series}");
        }
    }
}
