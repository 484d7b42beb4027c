//! The report for a person.

use std::fmt::Write;

use super::Report;
use super::abi;
use super::anatomy::{Anatomy, Import, Known, Memory, Section};
use super::faults::{Fault, Severity};

const WIDTH: usize = 100;
/// Where the lists begin.
const INDENT: usize = 14;

pub(super) fn render(report: &Report) -> String {
    let Report { file, anatomy, faults } = report;
    let mut text = format!("{file}\n\n");
    facts(&mut text, anatomy);
    sections(&mut text, anatomy);
    exports(&mut text, anatomy);
    imports(&mut text, anatomy);
    verdict(&mut text, faults);
    text
}

fn facts(text: &mut String, anatomy: &Anatomy) {
    let unknown = "none that Envoy takes, see below";
    let rows = [
        ("size", format!("{} bytes", number(anatomy.bytes))),
        ("ABI", anatomy.abi.unwrap_or(unknown).to_owned()),
        ("allocator", anatomy.allocator.unwrap_or(unknown).to_owned()),
        ("memory", anatomy.memory.map_or("none of its own".into(), memory)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:INDENT$}{value}");
    }
}

fn memory(memory: Memory) -> String {
    let size = |pages: u64| {
        format!("{} KiB", number(usize::try_from(pages).unwrap_or(usize::MAX).saturating_mul(64)))
    };
    let most =
        memory.maximum_pages.map_or("no limit of its own".into(), |pages| format!("at most {}", size(pages)));
    format!("{} at first, {most}", size(memory.initial_pages))
}

/// By size, the biggest first: that is what one wants to know.
fn sections(text: &mut String, anatomy: &Anatomy) {
    let mut sections: Vec<&Section> = anatomy.sections.iter().collect();
    sections.sort_by_key(|section| std::cmp::Reverse(section.bytes));
    let _ = writeln!(text, "\nSections ({})", sections.len());
    for section in sections {
        let name = if section.custom { format!("custom {}", section.name) } else { section.name.clone() };
        let share = section.bytes * 100 / anatomy.bytes.max(1);
        let share = if share == 0 { "<1".into() } else { share.to_string() };
        let _ = writeln!(text, "  {name:30} {:>10} bytes {share:>3} %", number(section.bytes));
    }
}

fn exports(text: &mut String, anatomy: &Anatomy) {
    let _ = writeln!(text, "\nExports ({})", anatomy.exports.len());
    let names = |wanted: fn(&str) -> bool| {
        anatomy.exports.iter().map(|export| export.name.as_str()).filter(move |name| wanted(name))
    };
    list(text, "callbacks", names(is_callback));
    list(text, "others", names(|name| !is_callback(name)));
}

fn is_callback(name: &str) -> bool {
    abi::callback(name, false).is_some()
}

fn imports(text: &mut String, anatomy: &Anatomy) {
    let _ = writeln!(text, "\nImports ({})", anatomy.imports.len());
    for (title, kind) in [("ABI", Known::Abi), ("WASI", Known::Wasi), ("unknown", Known::Unknown)] {
        let wanted = anatomy.imports.iter().filter(|import| import.known == kind);
        let name = |import: &Import| match kind {
            Known::Unknown => format!("{}.{}", import.namespace, import.name),
            _ => import.name.clone(),
        };
        let names: Vec<String> = wanted.map(name).collect();
        list(text, title, names.iter().map(String::as_str));
    }
}

/// Names behind a title, broken at the right; nothing if there are none.
fn list<'a>(text: &mut String, title: &str, names: impl Iterator<Item = &'a str>) {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let mut line = format!("  {title:width$}", width = INDENT - 2);
    let mut any = false;
    for name in names {
        if any && line.len() + name.len() + 1 > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(INDENT);
        }
        line += name;
        line.push(' ');
        any = true;
    }
    if any {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn verdict(text: &mut String, faults: &[Fault]) {
    if faults.is_empty() {
        text.push_str("\nNothing is wrong with it.\n");
        return;
    }
    text.push_str("\nWhat is wrong\n");
    for fault in faults {
        let severity = match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(text, "  {severity:width$}{}", fault.text, width = INDENT - 2);
    }
}

/// With a comma at every thousand.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let all: Vec<String> = (!head.is_empty()).then(|| head.to_owned()).into_iter().chain(groups).collect();
    all.join(",")
}
