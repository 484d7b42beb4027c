//! From a case file to cases: reads it, fills in what the file leaves out, and refuses what could never fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_path_to_error::{Deserializer, Segment, Track};
use serde_saphyr::Spanned;

use super::around::{self, Called};
use super::connections;
use super::format::{
    AfterAll, Answer, CaseEntry, CaseFile, Config, Differs, Direction, Expect, Field, HostCalls, LogPattern,
    Node, Reached, Request, RequestEntry, Upstream,
};
use super::text::Text;
use super::{Case, Expectation, Placed, Step, meanwhile, plugins, routing};
use crate::engine::Errand;
use crate::exchange::{self, Clock, Headers, Message, Random, Setup};

/// A case file that cannot be used: where, why, and what to write instead.
#[derive(Debug)]
pub struct Error {
    file: PathBuf,
    line: u64,
    message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

impl std::error::Error for Error {}

/// Reads the cases of a file for the plugin called `plugin`.
pub fn load(file: &Path, plugin: &str) -> Result<Vec<Case>, Error> {
    match std::fs::read_to_string(file) {
        Ok(yaml) => parse(file, &yaml, plugin),
        Err(error) => Err(Error { file: file.into(), line: 1, message: format!("cannot be read: {error}") }),
    }
}

/// The case files of a folder, in order of their names.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error: std::io::Error| format!("{}: cannot be read: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(cannot)?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(cannot)?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{}: holds no cases; add a file NAME.yaml (docs/cases.md)", folder.display()));
    }
    Ok(paths)
}

/// Reads the cases in `yaml` for the plugin called `plugin`; `file` stands in messages and names of tests only.
pub fn parse(file: &Path, yaml: &str, plugin: &str) -> Result<Vec<Case>, Error> {
    let error = |(line, message)| Error { file: file.into(), line, message };
    let read = read(yaml).map_err(error)?;
    require(!read.about.trim().is_empty(), 1, "about: say in one line what the file covers")
        .map_err(error)?;
    require(!read.cases.is_empty(), 1, "cases: there is none").map_err(error)?;
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for entry in &read.cases {
        let case = case(file, &read, entry, plugin).map_err(error)?;
        let fresh = names.insert(case.name.clone());
        require(fresh, case.line, "name: another case of this file has the same").map_err(error)?;
        cases.push(case);
    }
    Ok(cases)
}

/// A line and what is wrong there.
pub(super) type Fault = (u64, String);

fn require(holds: bool, line: u64, otherwise: impl Into<String>) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err((line, otherwise.into())) }
}

fn read(yaml: &str) -> Result<CaseFile, Fault> {
    let mut track = Track::new();
    // YAML 1.2: `y`, `no` and `off` are text.
    let options = serde_saphyr::options! { strict_booleans: true };
    let result = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |deserializer| {
        CaseFile::deserialize(Deserializer::new(deserializer, &mut track))
    });
    result.map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        (line, explained(&path(track.path()), &error.without_snippet().to_string()))
    })
}

/// The path of an error in the words of the file: without the steps that `Spanned` adds.
fn path(path: serde_path_to_error::Path) -> String {
    let mut words = String::new();
    let (mut list, mut in_list) = (String::new(), false);
    for segment in &path {
        match segment {
            Segment::Seq { index } => {
                in_list = ["cases", "requests", "connections"].contains(&list.as_str());
                words += &format!("[{index}]");
                continue;
            }
            Segment::Map { key } if key == "value" && (in_list || list == "expect") => list.clear(),
            Segment::Map { key } => {
                let dot = if words.is_empty() { "" } else { "." };
                words += &format!("{dot}{key}");
                list.clone_from(key);
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        in_list = false;
    }
    words
}

/// The message of the YAML reader, without what is said elsewhere and with a remedy where it gives none.
fn explained(path: &str, message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let message = message.replace(", set DuplicateKeyPolicy in Options if acceptable", "; remove one");
    let remedy = match message.as_str() {
        "expected sequence start" => "; write a list: `[..]`, or lines that start with `- `",
        "expected mapping start" => "; write `key: value` lines",
        text if text.starts_with("multiple YAML documents") => "; put all cases in one `cases:` list",
        _ => "",
    };
    let colon = if path.is_empty() { "" } else { ": " };
    format!("{path}{colon}{message}{remedy}")
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

fn case(file: &Path, shared: &CaseFile, entry: &Spanned<CaseEntry>, plugin: &str) -> Result<Case, Fault> {
    let (line, case) = (line(entry), &entry.value);
    require(!case.name.trim().is_empty(), line, "name: say in words what holds when the case passes")?;
    let mut setup = setup(shared, case, plugin);
    if let Some(clusters) = case.clusters.as_ref().or(shared.clusters.as_ref()) {
        setup.clusters = around::clusters(clusters).map_err(|text| in_case(case)((line, text)))?;
    }
    let answer = case.upstream.as_ref().or(shared.upstream.as_ref());
    let steps = case.requests.iter().enumerate();
    let steps =
        steps.map(|(index, request)| step(request, answer, setup.log_level).map_err(in_request(case, index)));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let talks = case.connections.iter().enumerate();
    let talks = talks
        .map(|(index, entry)| connections::talk(entry, setup.log_level).map_err(in_connection(case, index)));
    let talks = talks.collect::<Result<Vec<_>, _>>()?;
    let expect = expectation(case.expect.as_ref(), case.differs.as_ref(), |after| {
        after_all_can_fail(after, setup.log_level)
    })
    .map_err(in_case(case))?;
    let wait = case.wait.map(|span| span.0).unwrap_or_default();
    let plugins = plugins::chain(&setup, &case.plugins);
    let name = case.name.clone();
    let mut case = Case { file: file.into(), line, name, setup, plugins, steps, talks, wait, expect };
    let expressions = case.expressions();
    for plugin in &mut case.plugins {
        plugin.setup.expressions.clone_from(&expressions);
    }
    whole_case(&case)?;
    Ok(case)
}

fn in_case(case: &CaseEntry) -> impl Fn(Fault) -> Fault {
    move |(line, message)| (line, format!("case \"{}\": {message}", case.name))
}

fn in_request(case: &CaseEntry, index: usize) -> impl Fn(Fault) -> Fault {
    let inner = in_case(case);
    move |(line, message)| inner((line, format!("requests[{index}]: {message}")))
}

fn in_connection(case: &CaseEntry, index: usize) -> impl Fn(Fault) -> Fault {
    let inner = in_case(case);
    move |(line, message)| inner((line, format!("connections[{index}]: {message}")))
}

/// What only shows when the case is seen as a whole.
fn whole_case(case: &Case) -> Result<(), Fault> {
    let about = |text: &str| format!("case \"{}\": {text}", case.name);
    let of_all = case.expect.everywhere.as_ref();
    let rejected = of_all.is_some_and(|after| after.value.rejected.is_some());
    require(
        case.steps.is_empty() || case.talks.is_empty(),
        case.line,
        about("has both `requests` and `connections`; make two cases of it"),
    )?;
    require(
        !rejected || case.steps.is_empty() && case.talks.is_empty(),
        case.line,
        about("a configuration that is rejected serves no requests; remove `requests` or `rejected`"),
    )?;
    clusters_exist(case).map_err(|(line, text)| (line, about(&text)))?;
    routing::fits(case).map_err(|(line, text)| (line, about(&text)))?;
    meanwhile::fits(case).map_err(|(line, text)| (line, about(&text)))?;
    whole_proxy(case).map_err(|(line, text)| (line, about(text)))?;
    let any = of_all.is_some()
        || case.steps.iter().any(|step| step.expect.everywhere.is_some())
        || case.talks.iter().any(|talk| talk.expect.everywhere.is_some());
    require(
        any,
        case.line,
        about("expects nothing, so it cannot fail; add `expect` to a request or to the case"),
    )
}

/// What is expected of a cluster that is not there holds whatever the plugin does.
fn clusters_exist(case: &Case) -> Result<(), Fault> {
    let of_steps = case.steps.iter().flat_map(|step| step.expect.all());
    let of_steps = of_steps.map(|placed| (placed.line, placed.value.clusters.as_ref()));
    let of_all = case.expect.all().map(|placed| (placed.line, placed.value.clusters.as_ref()));
    for (line, names) in of_steps.chain(of_all) {
        let unknown = names.into_iter().flatten().find(|(name, _)| !case.setup.clusters.contains_key(*name));
        if let Some((name, _)) = unknown {
            return Err((line, format!("clusters: there is no cluster {name}; name it under `clusters`")));
        }
    }
    Ok(())
}

/// What must fit together of plugins and workers.
fn whole_proxy(case: &Case) -> Result<(), (u64, &'static str)> {
    let require = |holds: bool, text| if holds { Ok(()) } else { Err((case.line, text)) };
    let old_and_new = case.setup.fail_open && case.setup.failure_policy != exchange::FailurePolicy::Closed;
    require(!old_and_new, "fail_open: is an older word for failure_policy; keep one")?;
    let workers = case.setup.workers;
    require((1..=16).contains(&workers), "workers: write a number from 1 to 16")?;
    require(case.setup.buffer_limit > 0, "buffer_limit: write a number from 1")?;
    let beyond = case.steps.iter().find(|step| step.worker.is_some_and(|worker| worker >= workers));
    beyond.map_or(Ok(()), |step| Err((step.line, "worker: there are fewer `workers`; the first is 0")))
}

fn setup(shared: &CaseFile, case: &CaseEntry, plugin: &str) -> Setup {
    let config = |own: &Option<Config>, file: &Option<Config>| {
        own.as_ref().or(file.as_ref()).map(|config| config.0.clone()).unwrap_or_default()
    };
    let node = case.node.as_ref().or(shared.node.as_ref());
    let default = Setup::default();
    let text = |of: fn(&Node) -> &Option<String>, default: String| {
        node.and_then(|node| of(node).clone()).unwrap_or(default)
    };
    Setup {
        name: plugin.into(),
        root_id: case.root_id.clone().or(shared.root_id.clone()).unwrap_or_default(),
        configuration: config(&case.config, &shared.config),
        vm_configuration: config(&case.vm_config, &shared.vm_config),
        fail_open: case.fail_open,
        failure_policy: case.failure_policy.unwrap_or(default.failure_policy),
        allowed_capabilities: case.allowed_capabilities.clone(),
        workers: case.workers.map_or(default.workers, usize::from),
        rehearse: case.workers.is_some(),
        allow_on_headers_stop_iteration: case.allow_on_headers_stop_iteration,
        node_id: text(|node| &node.id, default.node_id),
        node_cluster: text(|node| &node.cluster, default.node_cluster),
        node_metadata: node.map(|node| node.metadata.clone()).unwrap_or_default().into(),
        direction: match case.direction.or(shared.direction) {
            None => exchange::Direction::Unspecified,
            Some(Direction::Inbound) => exchange::Direction::Inbound,
            Some(Direction::Outbound) => exchange::Direction::Outbound,
        },
        log_level: case.log_level.unwrap_or(default.log_level),
        environment: case.environment.clone(),
        random: Random::Seed(case.seed),
        buffer_limit: case.buffer_limit.map_or(default.buffer_limit, |limit| limit as usize),
        clock: case.clock.map_or(default.clock, |moment| Clock::Fixed(moment.0)),
        dynamic_metadata: case.dynamic_metadata.clone(),
        filter_state: case.filter_state.clone(),
        route_metadata: case.route_metadata.clone(),
        route_name: case.route_name.clone(),
        cluster_metadata: case.cluster_metadata.clone(),
        host_metadata: case.host_metadata.clone(),
        tcp_clusters: case.tcp_clusters.clone(),
        ..default
    }
}

fn step(
    entry: &Spanned<RequestEntry>,
    answer: Option<&Answer>,
    level: exchange::Level,
) -> Result<Step, Fault> {
    let line = line(entry);
    let at = |part: &'static str| move |text| (line, format!("{part}: {text}"));
    let request = &entry.value;
    let fallback = Answer::default();
    let answer = request.upstream.as_ref().or(answer).unwrap_or(&fallback);
    let errand = Errand {
        request: request_message(&request.send).map_err(at("send"))?,
        upstream: around::upstream(answer).map_err(at("upstream"))?,
        patience: request.send.patience.map(|span| span.0),
    };
    let wait = request.wait.map(|span| span.0).unwrap_or_default();
    let expect = expectation(request.expect.as_ref(), request.differs.as_ref(), |expect| {
        expect_can_fail(expect, level)
    })?;
    let worker = request.worker.map(usize::from);
    Ok(Step { line, worker, wait, meanwhile: request.meanwhile, errand, expect })
}

pub(super) fn expectation<T: Clone>(
    everywhere: Option<&Spanned<T>>,
    differs: Option<&Differs<T>>,
    can_fail: impl Fn(&T) -> Result<(), String>,
) -> Result<Expectation<T>, Fault> {
    let placed = |spanned: &Spanned<T>, key: &str| {
        let line = line(spanned);
        can_fail(&spanned.value).map_err(|text| (line, format!("{key}{text}")))?;
        Ok(Placed { line, value: spanned.value.clone() })
    };
    let differing = |difference: &super::format::Difference<T>, key: &str| {
        let reason = !difference.reason.trim().is_empty();
        require(
            reason,
            line(&difference.expect),
            format!("{key}reason: say why this host is right to differ"),
        )?;
        placed(&difference.expect, &format!("{key}expect: "))
    };
    let envoy = differs.and_then(|differs| differs.envoy.as_ref());
    let native = differs.and_then(|differs| differs.native.as_ref());
    let wasm = differs.and_then(|differs| differs.wasm.as_ref());
    if let (Some(_), None, None, None) = (differs, envoy, native, wasm) {
        let remedy = "differs: names no host; write `envoy`, `native` or `wasm`";
        return Err((everywhere.map_or(1, line), remedy.into()));
    }
    Ok(Expectation {
        everywhere: everywhere.map(|expect| placed(expect, "expect: ")).transpose()?,
        envoy: envoy.map(|difference| differing(difference, "differs.envoy.")).transpose()?,
        native: native.map(|difference| differing(difference, "differs.native.")).transpose()?,
        wasm: wasm.map(|difference| differing(difference, "differs.wasm.")).transpose()?,
    })
}

fn request_message(request: &Request) -> Result<Message, String> {
    let text = |given: &Option<Text>, default: &str| {
        given.as_ref().map_or_else(|| default.as_bytes().to_vec(), |text| text.0.clone())
    };
    let mut message = Message::default();
    message.headers.add(":authority", text(&request.authority, "example.com"));
    message.headers.add(":path", text(&request.path, "/"));
    message.headers.add(":method", text(&request.method, "GET"));
    message.headers.add(":scheme", "http");
    message.headers.0.extend(fields(&request.headers));
    message.trailers = Headers(fields(&request.trailers));
    message.body = body(request.body.as_ref(), request.chunks.as_ref())?;
    let bodiless = request.body.is_none() && message.body.is_empty();
    frame(&mut message, bodiless, request.chunks.is_some());
    Ok(message)
}

pub(super) fn response_message(answer: &Answer) -> Result<Message, String> {
    let status = answer.status.unwrap_or(200);
    if !(200..600).contains(&status) {
        return Err(format!("status: expected 200 to 599, found {status}"));
    }
    let mut message = Message::response(status);
    message.headers.0.extend(fields(&answer.headers));
    message.trailers = Headers(fields(&answer.trailers));
    message.body = body(answer.body.as_ref(), answer.chunks.as_ref())?;
    let bodiless = message.body.is_empty() && matches!(status, 204 | 304);
    frame(&mut message, bodiless, answer.chunks.is_some());
    Ok(message)
}

pub(super) fn fields(fields: &[Field]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lower = |field: &Field| (field.name.to_ascii_lowercase(), field.value.clone());
    fields.iter().flat_map(|field| std::iter::repeat_n(lower(field), field.times)).collect()
}

fn body(whole: Option<&Text>, chunks: Option<&Vec<Text>>) -> Result<Vec<Vec<u8>>, String> {
    let pieces = match (whole, chunks) {
        (Some(_), Some(_)) => return Err("has both `body` and `chunks`; keep one".into()),
        (Some(body), None) => vec![body.0.clone()],
        (None, Some(chunks)) => chunks.iter().map(|chunk| chunk.0.clone()).collect(),
        (None, None) => Vec::new(),
    };
    Ok(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
}

/// Adds the header that frames the body in HTTP/1, unless the case has one: every host then shows it to the plugin.
fn frame(message: &mut Message, bodiless: bool, chunked: bool) {
    let framed =
        ["content-length", "transfer-encoding"].iter().any(|name| message.headers.first(name).is_some());
    if framed {
        return;
    }
    if chunked || !message.trailers.0.is_empty() {
        message.headers.add("transfer-encoding", "chunked");
    } else if !bodiless {
        message.headers.add("content-length", message.whole_body().len().to_string());
    }
}

/// Refuses expectations on a request that hold whatever the plugin does.
pub(super) fn expect_can_fail(expect: &Expect, level: exchange::Level) -> Result<(), String> {
    let Expect {
        status,
        details,
        headers,
        absent,
        body,
        trailers,
        upstream,
        clusters,
        filter_state,
        expressions,
        log,
        no_log,
        host_calls,
    } = expect;
    let some = [
        status.is_some(),
        details.is_some(),
        headers.is_some(),
        absent.is_some(),
        body.is_some(),
        trailers.is_some(),
        upstream.is_some(),
        clusters.is_some(),
        filter_state.is_some(),
        expressions.is_some(),
        log.is_some(),
        no_log.is_some(),
        host_calls.is_some(),
    ];
    expects_something(some.contains(&true))?;
    fields_can_fail("headers", headers.as_deref(), absent.as_deref())?;
    fields_can_fail("trailers", trailers.as_deref(), absent.as_deref())?;
    if let Some(Reached::Request(upstream)) = upstream {
        upstream_can_fail(upstream).map_err(|text| format!("upstream: {text}"))?;
    }
    called_can_fail(clusters.as_ref())?;
    not_empty("filter_state", filter_state.as_ref().map(|names| names.len()))?;
    not_empty("expressions", expressions.as_ref().map(|sources| sources.len()))?;
    if let Some(HostCalls::ByName(names)) = host_calls {
        not_empty("host_calls", Some(names.len()))?;
    }
    logs_can_fail(log.as_deref(), no_log.as_deref(), level)
}

fn upstream_can_fail(upstream: &Upstream) -> Result<(), String> {
    let Upstream { method, path, authority, headers, absent, body, trailers, messages } = upstream;
    let texts = [method, path, authority, body].iter().any(|text| text.is_some());
    let lists = [headers, trailers].iter().any(|list| list.is_some());
    if !(texts || lists || absent.is_some() || messages.is_some()) {
        return Err(
            "asks for nothing; write `any` if any request will do, `none` if there must be none".into()
        );
    }
    fields_can_fail("headers", headers.as_deref(), absent.as_deref())?;
    fields_can_fail("trailers", trailers.as_deref(), absent.as_deref())
}

fn after_all_can_fail(after: &AfterAll, level: exchange::Level) -> Result<(), String> {
    let AfterAll { metrics, clusters, log, no_log, rejected } = after;
    let some = [metrics.is_some(), clusters.is_some(), log.is_some(), no_log.is_some(), rejected.is_some()];
    expects_something(some.contains(&true))?;
    called_can_fail(clusters.as_ref())?;
    not_empty("metrics", metrics.as_ref().map(|names| names.len()))?;
    if rejected.as_ref().is_some_and(|part| part.is_empty()) {
        return Err("rejected: is empty; write a part of the log line that tells an operator why".into());
    }
    logs_can_fail(log.as_deref(), no_log.as_deref(), level)
}

fn called_can_fail(clusters: Option<&BTreeMap<String, Called>>) -> Result<(), String> {
    not_empty("clusters", clusters.map(BTreeMap::len))?;
    for (name, called) in clusters.into_iter().flatten() {
        let Called::These(these) = called else { continue };
        not_empty(&format!("clusters.{name}"), Some(these.len()))?;
        these.iter().try_for_each(upstream_can_fail).map_err(|text| format!("clusters.{name}: {text}"))?;
    }
    Ok(())
}

fn expects_something(something: bool) -> Result<(), String> {
    if something { Ok(()) } else { Err("is empty, so it cannot fail; say what must be seen".into()) }
}

fn not_empty(key: &str, size: Option<usize>) -> Result<(), String> {
    match size {
        Some(0) => Err(format!("{key}: is empty, so it cannot fail; name something or remove the key")),
        _ => Ok(()),
    }
}

fn fields_can_fail(key: &str, fields: Option<&[Field]>, absent: Option<&[String]>) -> Result<(), String> {
    not_empty(key, fields.map(<[_]>::len))?;
    not_empty("absent", absent.map(<[_]>::len))?;
    let fields = fields.unwrap_or_default();
    if fields.iter().any(|field| field.times == 0) {
        return Err(format!("{key}: `times: 0` asks for nothing; write the name under `absent`"));
    }
    let contradiction = absent
        .unwrap_or_default()
        .iter()
        .find(|name| fields.iter().any(|field| field.name.eq_ignore_ascii_case(name.as_bytes())));
    match contradiction {
        Some(name) => Err(format!("absent: {name} is also asked for under `{key}`; keep one")),
        None => Ok(()),
    }
}

fn logs_can_fail(
    log: Option<&[LogPattern]>,
    no_log: Option<&[LogPattern]>,
    level: exchange::Level,
) -> Result<(), String> {
    for (key, patterns) in [("log", log), ("no_log", no_log)] {
        not_empty(key, patterns.map(<[_]>::len))?;
        if patterns.unwrap_or_default().iter().any(|pattern| pattern.part.is_empty()) {
            return Err(format!("{key}: an empty text is part of every line; write what is meant"));
        }
    }
    let below = |pattern: &&LogPattern| pattern.level.is_some_and(|wanted| wanted < level);
    match no_log.unwrap_or_default().iter().find(below) {
        Some(pattern) => Err(format!(
            "no_log: \"{}\" is asked for at a level that is not logged, so it cannot fail; set `log_level`",
            pattern.part
        )),
        None => Ok(()),
    }
}
