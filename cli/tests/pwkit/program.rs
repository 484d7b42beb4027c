//! Runs the program and compares what it says with what is on record.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, in a folder of this test where it finds its files by short names.
pub(crate) struct Workshop {
    folder: PathBuf,
}

/// How the program ended.
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workshop {
    /// A new, empty folder.
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder }
    }

    /// Puts a file there.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Puts a module there, from its text.
    pub(crate) fn module(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pwkit"));
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> End {
        End::of(self.command(arguments).output().expect("pwkit starts"))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl End {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what it prints is text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// It fails with this code, and says this in one line and nothing else.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: i32, line: &str) {
        assert_eq!(self.stderr, format!("pwkit: {line}\n"));
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""));
    }
}

/// Compares a text with the file of that name.
#[track_caller]
pub(crate) fn assert_on_record(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("PWKIT_UPDATE").is_some() {
        std::fs::write(&path, text).expect("a record can be written");
    }
    let record = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, record, "{}: PWKIT_UPDATE=1 accepts the new text", path.display());
}
