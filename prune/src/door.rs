//! The door: what the SDK says about its own entry functions, one line for each.

use crate::error::{Problem, PruneError};

/// The custom section that the SDK's `entry!` writes, and that a module loses when it is pruned.
pub const SECTION: &str = "pwkit.door";

/// Its first line.
const VERSION: &str = "pwkit door 1";

/// When a callback is needed. Its own entry function is `pwkit_NAME`, the callback of the ABI `proxy_NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// In every module.
    Always,
    /// If, for one of these names, the code of `pwkit_hook_NAME` is another than that of `pwkit_default_NAME`; see also
    /// [`Together`].
    Hook(Vec<String>),
    /// If one of these host functions can be called.
    Imports(Vec<String>),
    /// Unless streams are brief.
    State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) need: Need,
}

/// When streams are brief: nothing of one outlives its first hook.
///
/// This hook is the only one, none of these functions can be called (host functions, and exports of the module), and to
/// drop the filter is nothing more than to let go of its plugin. Callbacks then enter by `pwkit_brief_NAME`, where
/// there is such an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) hook: String,
    pub(crate) unless: Vec<String>,
}

/// Hooks of which either none is needed or all are, when one of these functions can be called: a hook may let its message
/// wait, and what is to come of the message then is kept back, or told to who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Together {
    pub(crate) hooks: Vec<String>,
    pub(crate) when: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) entries: Vec<Entry>,
    pub(crate) together: Vec<Together>,
    pub(crate) brief: Option<Brief>,
}

impl Door {
    pub(crate) fn parse(section: &[u8]) -> Result<Self, PruneError> {
        let text = String::from_utf8_lossy(section);
        let mut lines = text.lines();
        let version = lines.next().unwrap_or_default();
        if version != VERSION {
            return Err(Problem::Unknown(version.to_owned()).into());
        }
        let mut door = Self { entries: Vec::new(), together: Vec::new(), brief: None };
        for line in lines {
            door.read(line).ok_or_else(|| Problem::Unknown(line.to_owned()))?;
        }
        Ok(door)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, need) = match words.as_slice() {
            ["brief", hook, "unless", unless @ ..] => {
                self.brief = Some(Brief { hook: (*hook).to_owned(), unless: owned(unless) });
                return Some(());
            }
            ["together", words @ ..] => {
                let (hooks, when) = words.split_at_checked(words.iter().position(|word| *word == "if")?)?;
                self.together.push(Together { hooks: owned(hooks), when: owned(when.get(1..)?) });
                return Some(());
            }
            [name, "always"] => (name, Need::Always),
            [name, "hook"] => (name, Need::Hook(owned(&[name]))),
            [name, "hook", hooks @ ..] => (name, Need::Hook(owned(hooks))),
            [name, "state"] => (name, Need::State),
            [name, "if", imports @ ..] if !imports.is_empty() => (name, Need::Imports(owned(imports))),
            _ => return None,
        };
        self.entries.push(Entry { name: (*name).to_owned(), need });
        Some(())
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
