//! Documents hold no command and no snippet that no test runs, and no link that leads nowhere.

use std::path::Path;

use proxy_wasm_kit_tests::{Metadata, assert_none, files, read, root};
use regex_lite::Regex;

/// A fenced block of a document.
struct Block {
    place: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    files("md").iter().flat_map(|path| blocks_of(path)).collect()
}

fn blocks_of(path: &str) -> Vec<Block> {
    let fence = Regex::new(r"(?ms)^( *)```(\w*)\n(.*?)^ *```$").expect("the pattern is right");
    let text = read(path);
    let blocks = fence.captures_iter(&text).map(|found| Block {
        place: format!("{path}:{}", text[..found.get(0).map_or(0, |all| all.start())].lines().count() + 1),
        language: found[2].to_owned(),
        text: found[3]
            .lines()
            .map(|line| line.strip_prefix(&found[1]).unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n"),
    });
    blocks.collect()
}

#[test]
fn the_readme_sets_up_with_two_commands() {
    let readme = read("README.md");
    let start = readme.split("\n## ").nth(1).expect("the README has a first section");
    let fence = Regex::new(r"(?s)```sh\n(.*?)\n```").expect("the pattern is right");
    let commands: Vec<&str> =
        fence.captures_iter(start).map(|found| found.get(1).map_or("", |text| text.as_str())).collect();
    assert_eq!(commands, ["scripts/run", "scripts/test"]);
}

#[test]
fn commands_in_documents_are_run() {
    let shell =
        blocks().into_iter().filter(|block| ["sh", "shell", "bash", "console"].contains(&&*block.language));
    let complaints: Vec<String> = shell
        .flat_map(|block| {
            block.text.lines().map(|line| (block.place.clone(), line.to_owned())).collect::<Vec<_>>()
        })
        .filter(|(_, line)| !line.is_empty() && !is_run(line))
        .map(|(place, line)| format!("{place}: no test runs `{line}`"))
        .collect();
    assert_none(&complaints);
}

/// Whether scripts/test, or a test that it starts, runs this command.
fn is_run(line: &str) -> bool {
    let line = line.trim_start_matches("$ ");
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        // tests/deploy.rs, tests/artifacts.rs, and every run of continuous integration.
        ["scripts/run", ..] | ["scripts/build" | "scripts/test"] => true,
        // A part of `cargo test --workspace`, if there is such a member.
        ["cargo", "test", "-p", name, ..] => Metadata::read().members().any(|member| member.name == name),
        // tests/deploy.rs sends it, if a deployment proposes it.
        ["curl", ..] => {
            files("yaml").iter().any(|path| path.contains("/deploy/") && read(path).contains(line))
        }
        _ => is_step(line),
    }
}

/// Whether it is a step of scripts/test as it stands there, less its options.
fn is_step(line: &str) -> bool {
    let script = read("scripts/test").replace("WASM", "\"--target=wasm32-wasip1\"");
    let quoted: Vec<String> = line
        .replace("--target wasm", "--target=wasm")
        .split_whitespace()
        .map(|word| format!("{word:?}"))
        .collect();
    script.contains(&quoted.join(", "))
}

#[test]
fn snippets_in_documents_are_parts_of_tested_files() {
    // Tests of the host crate go through each block of this one.
    let own_test = "docs/cases.md";
    let snippets =
        blocks().into_iter().filter(|block| ["rust", "yaml", "json", "toml"].contains(&&*block.language));
    let complaints: Vec<String> = snippets
        .filter(|block| block.language == "rust" || !block.place.starts_with(own_test))
        .filter(|block| !is_part_of_a_file(block))
        .map(|block| format!("{}: this stands in no file that a test reads", block.place))
        .collect();
    assert_none(&complaints);
}

/// Whether the block stands, indented or not, in a source, a case or a manifest.
fn is_part_of_a_file(block: &Block) -> bool {
    let extensions: &[&str] = match block.language.as_str() {
        "rust" => &["rs"],
        "toml" => &["toml"],
        _ => &["yaml", "json"],
    };
    let wanted = unindented(&block.text);
    extensions
        .iter()
        .flat_map(|extension| files(extension))
        .any(|path| unindented(&read(&path)).contains(&wanted))
}

fn unindented(text: &str) -> String {
    text.lines().map(|line| format!("\n{}", line.trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("the pattern is right");
    let mut dead = Vec::new();
    for path in files("md") {
        let text = read(&path);
        for target in link
            .captures_iter(&text)
            .map(|found| found[1].to_owned())
            .filter(|target| !target.contains("://"))
        {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
            let file =
                if file.is_empty() { path.clone() } else { folder.join(file).to_string_lossy().into_owned() };
            if !root().join(&file).exists()
                || !(anchor.is_empty() || anchors(&read(&file)).contains(&anchor.to_owned()))
            {
                dead.push(format!("{path} links to {target}, which does not exist"));
            }
        }
    }
    assert_none(&dead);
}

/// The anchors of the headings, as code hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_extension_is_in_the_readme() {
    let readme = read("README.md");
    let missing = Metadata::read()
        .members()
        .filter(|member| {
            member.is_extension() && !readme.contains(&format!("({}/README.md)", member.folder()))
        })
        .map(|member| format!("README.md does not link to {}/README.md", member.folder()))
        .collect::<Vec<_>>();
    assert_none(&missing);
}

/// The page of differences, and the headings of its part that cases refer to.
fn differences() -> (String, Vec<String>) {
    let page = read("docs/host-differences.md");
    let stated = page.split("\n## ").find(|part| part.starts_with("Stated by a case"));
    let stated = stated.expect("the page has a part of what cases state");
    let headings = stated.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    (page, headings)
}

#[test]
fn differences_between_hosts_are_listed_and_real() {
    let (_, headings) = differences();
    let reason = Regex::new(r"(?m)(?:^|[{,]) *reason: *([^,}\n]+)").expect("the pattern is right");
    let (mut used, mut complaints) = (Vec::new(), Vec::new());
    for path in files("yaml").iter().filter(|path| is_case(path)) {
        for found in reason.captures_iter(&read(path)).map(|found| found[1].trim().to_owned()) {
            match headings.iter().find(|heading| found.starts_with(*heading)) {
                Some(heading) => used.push(heading.clone()),
                None => complaints.push(format!("{path}: docs/host-differences.md has no `### {found}`")),
            }
        }
    }
    let idle = headings.iter().filter(|heading| !used.contains(heading));
    complaints
        .extend(idle.map(|heading| format!("docs/host-differences.md: no case differs by `{heading}`")));
    assert_none(&complaints);
}

fn is_case(path: &str) -> bool {
    path.contains("/cases/") || path.starts_with("host/tests/")
}

#[test]
fn every_difference_is_shown_by_tests_that_exist() {
    let (page, _) = differences();
    let by_nature = page.split_once("\n## By nature").expect("the page has a part of what no case states").1;
    let shown = Regex::new(r"\(shown by ((?:`[^`]+`(?:, )?)+)\)\.$").expect("the pattern is right");
    let sources: String = files("rs").iter().map(|path| read(path)).collect();
    let exists = |name: &str| root().join(name).is_file() || sources.contains(&format!("fn {name}()"));
    let mut complaints = Vec::new();
    for entry in by_nature.lines().filter(|line| line.starts_with("- ")) {
        match shown.captures(entry) {
            None => {
                complaints.push(format!("docs/host-differences.md: (shown by `..`) does not end: {entry}"))
            }
            Some(found) => complaints.extend(
                found[1].split(", ").map(|name| name.trim_matches('`')).filter(|name| !exists(name)).map(
                    |name| format!("docs/host-differences.md names {name}, which is neither file nor test"),
                ),
            ),
        }
    }
    assert_none(&complaints);
}
