//! What does not compile because of the types, and what the user is told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the compiler refuses, because of the types: its words change with its version, ours, which each
/// case has in its first lines, do not.
#[test]
fn the_types_name_the_cure() {
    let project = Project::new();
    let said = project.check();
    for (name, wanted) in &project.cases {
        let said = said.get(name).map_or("nothing", String::as_str);
        for words in wanted {
            assert!(
                said.contains(words),
                "{name} does not say `{words}`, but:\n{said}"
            );
        }
    }
    assert!(project.cases.len() >= 8, "the cases are there");
}

/// A package with a program for each case.
struct Project {
    directory: tempfile::TempDir,
    /// What each case has to say.
    cases: HashMap<String, Vec<String>>,
}

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = directory.path().join("src/bin");
        fs::create_dir_all(&programs).expect("a directory");
        let mut cases = HashMap::new();
        for case in fs::read_dir(here.join("tests/unfit")).expect("the cases") {
            let case = case.expect("a case").path();
            let text = fs::read_to_string(&case).expect("a text");
            let wanted = text
                .lines()
                .filter_map(|line| line.strip_prefix("// says: "));
            let name = case.file_stem().expect("a name").to_string_lossy();
            cases.insert(name.into_owned(), wanted.map(str::to_owned).collect());
            fs::write(programs.join(case.file_name().expect("a name")), text).expect("room");
        }
        let larder = here.parent().expect("a workspace").join("larder");
        let manifest = format!(
            "[package]\nname = \"unfit\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\nlarder = {{ path = {larder:?}, features = [\"macros\", \"serde\"] }}\n"
        );
        fs::write(directory.path().join("Cargo.toml"), manifest).expect("room");
        // The versions that are here already: nothing is downloaded.
        let lock = here.join("../../Cargo.lock");
        fs::copy(lock, directory.path().join("Cargo.lock")).expect("room");
        Self { directory, cases }
    }

    /// What the compiler says of each program.
    fn check(&self) -> HashMap<String, String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "check",
                "--offline",
                "--bins",
                "--keep-going",
                "--message-format=json",
            ])
            .current_dir(self.directory.path())
            .env("CARGO_TARGET_DIR", target())
            .output()
            .expect("cargo runs");
        let mut said: HashMap<String, String> = HashMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line).expect("a message");
            let name = message["target"]["name"].as_str();
            let text = message["message"]["rendered"].as_str();
            if let (Some(name), Some(text)) = (name, text) {
                said.entry(name.to_owned()).or_default().push_str(text);
            }
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.is_empty(),
            "cargo did not come to check anything:\n{errors}"
        );
        said
    }
}

/// A place of its own among what is built, so that nobody waits for the other's lock.
fn target() -> PathBuf {
    let program = env::current_exe().expect("this program");
    let target = program
        .ancestors()
        .nth(3)
        .expect("a place among what is built");
    target.join("tests/unfit")
}
