//! Old expressions and what becomes of them.

use super::rewrite;
use proptest::prelude::*;
use std::borrow::Cow;

#[track_caller]
fn becomes(old: &str, new: &str) {
    assert_eq!(rewrite(old), new);
}

#[track_caller]
fn stays(expression: &str) {
    assert!(matches!(rewrite(expression), Cow::Borrowed(_)), "{expression} became {}", rewrite(expression));
}

#[test]
fn attributes_that_moved_are_rewritten() {
    becomes("node.metadata['NAME']", "xds.node.metadata['NAME']");
    becomes("listener_direction == 1", "xds.listener_direction == 1");
    becomes("listener_metadata.filter_metadata", "xds.listener_metadata.filter_metadata");
    becomes("cluster_name", "xds.cluster_name");
    becomes("cluster_metadata.filter_metadata.istio", "xds.cluster_metadata.filter_metadata.istio");
    becomes("route_name.startsWith('a')", "xds.route_name.startsWith('a')");
    becomes("route_metadata", "xds.route_metadata");
    becomes("upstream_host_metadata", "xds.upstream_host_metadata");
}

#[test]
fn wherever_a_value_may_stand_there_is_one() {
    becomes("size(node.id) > 1 ? cluster_name : 'x'", "size(xds.node.id) > 1 ? xds.cluster_name : 'x'");
    becomes("['a', node.id][1]", "['a', xds.node.id][1]");
    becomes("{'k': node.id, cluster_name: 1}", "{'k': xds.node.id, xds.cluster_name: 1}");
    becomes("!(listener_direction==2)", "!(xds.listener_direction==2)");
    becomes("'x' in node.metadata", "'x' in xds.node.metadata");
    becomes("request.headers[node . id]", "request.headers[xds.node . id]");
    becomes("-listener_direction", "-xds.listener_direction");
    becomes("has(node.metadata.A)", "has(xds.node.metadata.A)");
    becomes(".node.id", ".xds.node.id");
    becomes("'a' in .node.metadata", "'a' in .xds.node.metadata");
}

#[test]
fn todays_names_stay() {
    stays("xds.node.metadata['NAME'] == xds.cluster_name");
    stays("plugin_name + plugin_root_id + plugin_vm_id + string(connection_id)");
    stays("istio_operationId == 'x' && upstream_peer.labels['app'].value == 'y'");
    stays("");
}

#[test]
fn fields_of_other_values_stay() {
    stays("request.node");
    stays("request . node");
    stays("request. // a comment\n node");
    stays("request.headers['x'].node");
    stays("f(1).cluster_name");
    stays("{'a': 1}.node");
    stays("'text'.node");
    stays("request.?node");
    stays("request.cluster_name()");
}

#[test]
fn a_longer_name_is_another() {
    stays("nodes || node_ || my_node || node1 || NODE || cluster_names");
}

#[test]
fn texts_stay() {
    for text in [
        "'node'",
        "\"node\"",
        r"'it\'s node'",
        r#""a\"node""#,
        "'''node 'node' node'''",
        "\"\"\"node \"node\" node\"\"\"",
        r"r'\' + r'node'",
        r#"b"node""#,
        r#"bR"node\""#,
        "'never ends node",
        "request.`node`",
        "'\u{e9}node'",
    ] {
        stays(text);
    }
    becomes(r"r'\' + node.id", r"r'\' + xds.node.id");
    becomes("'//' + node.id", "'//' + xds.node.id");
    becomes(r"'\\' + node.id", r"'\\' + xds.node.id");
    becomes("'''a'b''' + node.id", "'''a'b''' + xds.node.id");
}

#[test]
fn comments_stay() {
    stays("1 // node");
    becomes("1 + // node\nnode.x", "1 + // node\nxds.node.x");
    becomes("node // 'it\n.id == cluster_name", "xds.node // 'it\n.id == xds.cluster_name");
}

#[test]
fn functions_and_fields_of_messages_stay() {
    stays("node(1)");
    stays("node (1)");
    stays("a.b.Type{node: 1, cluster_name: 2}");
    becomes("Type{node: node.id}", "Type{node: xds.node.id}");
    becomes("Type{a: {node: 1}}", "Type{a: {xds.node: 1}}");
}

#[test]
fn variables_of_macros_stay() {
    stays("request.headers.exists(node, node == 'a' && [node].size() > 0)");
    becomes("x.map(node, node) + node.id", "x.map(node, node) + xds.node.id");
    becomes("node.all(node, node.a)", "xds.node.all(node, node.a)");
    becomes("x.exists(k, k == node.id)", "x.exists(k, k == xds.node.id)");
    becomes("x.filter(k, node, 1)", "x.filter(k, xds.node, 1)");
    becomes("x.f(node, 1)", "x.f(xds.node, 1)");
    becomes("map(node, 1)", "map(xds.node, 1)");
}

/// Pieces of expressions, with what becomes of each.
fn piece() -> impl Strategy<Value = (String, String)> {
    let same = |text: String| (text.clone(), text);
    prop_oneof![
        prop::sample::select(super::MOVED.to_vec()).prop_map(|name| (name.into(), format!("xds.{name}"))),
        prop::sample::select(super::MOVED.to_vec()).prop_map(move |name| same(format!("request.{name}"))),
        "[^'\\\\\n]{0,8}".prop_map(move |text| same(format!("'{text} node'"))),
        "[^\n]{0,8}".prop_map(move |text| same(format!("1 // node {text}\n"))),
        "[a-z_]{1,12}".prop_map(move |name| same(format!("x{name}"))),
        "[0-9]{1,3}u?".prop_map(same),
    ]
}

proptest! {
    #[test]
    fn a_whole_is_rewritten_as_its_pieces(
        pieces in prop::collection::vec(piece(), 1..6),
        operator in prop::sample::select(vec![" + ", "==", " in ", "&&", " ? 1 : ", "[0] + "]),
    ) {
        let (old, new): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        let old = old.join(operator);
        prop_assert_eq!(rewrite(&old), new.join(operator));
    }

    #[test]
    fn rewriting_once_is_enough(text in "(node|cluster_name|[ .,:?{}()\\[\\]'\"/\\\\\n]|map|r|b|[a-c]|\u{e9}){0,24}") {
        let once = rewrite(&text).into_owned();
        prop_assert!(matches!(rewrite(&once), Cow::Borrowed(_)));
        prop_assert_eq!(once.replace("xds.", ""), text);
    }
}
