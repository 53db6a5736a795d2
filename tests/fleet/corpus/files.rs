//! Bad files: how they are laid out, read by the library, and shown to the real executable.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dlc_fleet::ledger;
use dlc_fleet::plan::{self, PlanError};
use dlc_fleet::simulator::Scenario;
use tempfile::TempDir;

use super::case::{Case, Class, Kind};
use crate::stage::{Ran, executable};

/// What lies at a path.
#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    Directory,
    Pipe,
    LinkTo(&'static str),
    Nothing,
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// A file, its neighbours, and what has to be said about it.
#[derive(Clone)]
pub struct BadFile {
    pub kind: Kind,
    pub name: &'static str,
    /// The file itself comes first.
    files: Vec<(String, Content)>,
    pub class: Class,
    /// File and line that have to be named.
    place: (String, usize),
    says: &'static str,
}

impl BadFile {
    /// Refused at a line of the file itself.
    pub fn at(
        kind: Kind,
        name: &'static str,
        file: &str,
        content: impl Into<Content>,
        line: usize,
        says: &'static str,
    ) -> Self {
        let (files, place) = (vec![(file.to_owned(), content.into())], (file.to_owned(), line));
        Self { kind, name, files, class: Class::RefusedAtLine, place, says }
    }

    /// Refused as a whole.
    pub fn whole(
        kind: Kind,
        name: &'static str,
        file: &str,
        content: impl Into<Content>,
        says: &'static str,
    ) -> Self {
        Self { class: Class::RefusedWhole, ..Self::at(kind, name, file, content, 0, says) }
    }

    /// Odd, but sound.
    pub fn sound(
        kind: Kind,
        name: &'static str,
        file: &str,
        content: impl Into<Content>,
        says: &'static str,
    ) -> Self {
        Self { class: Class::Sound, ..Self::at(kind, name, file, content, 0, says) }
    }

    /// The same with another file beside it.
    pub fn beside(mut self, file: &str, content: impl Into<Content>) -> Self {
        self.files.push((file.to_owned(), content.into()));
        self
    }

    /// The same, with the place in another file.
    pub fn in_file(mut self, file: &str, line: usize) -> Self {
        self.place = (file.to_owned(), line);
        self
    }

    pub fn lay_out(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in &self.files {
            let path = folder.path().join(name);
            match content {
                Content::Bytes(bytes) => fs::write(path, bytes).expect("written"),
                Content::Directory => fs::create_dir(path).expect("a directory"),
                Content::Pipe => {
                    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
                }
                Content::LinkTo(target) => link(target, &path),
                Content::Nothing => {}
            }
        }
        folder
    }

    /// The case that tries it in the library.
    pub fn into_case(self) -> Case {
        let (kind, name, expected) = (self.kind, self.name.to_owned(), self.class);
        Case { kind, name, expected, attempt: Box::new(move || self.read()) }
    }

    fn read(&self) -> Result<Class, String> {
        let folder = self.lay_out();
        let path = folder.path().join(&self.files[0].0);
        let told = match self.kind {
            Kind::CsvPlan | Kind::YamlPlan => load(&path),
            Kind::Scenario => match fs::metadata(&path)
                .ok()
                .filter(fs::Metadata::is_file)
                .map(|_| fs::read_to_string(&path))
            {
                Some(Ok(text)) if self.class != Class::RefusedWhole => scenario(&path, &text),
                // the executable reads the file, and the library its text
                _ => return self.show().map(|_| self.class),
            },
            Kind::Ledger => recall(&path),
            Kind::SwitchAnswer | Kind::Listing => return Err("that is no file".to_owned()),
        };
        match told {
            Ok(sound) => said(&sound, self.says).map(|()| Class::Sound),
            Err(told) => self.judge(&told),
        }
    }

    /// Whether a refusal names the place, what is wrong, and a remedy.
    fn judge(&self, told: &str) -> Result<Class, String> {
        let (file, line) = &self.place;
        if *line == 0 {
            said(told, self.says)?;
            return said(told, file).map(|()| Class::RefusedWhole);
        }
        let place = match self.kind {
            Kind::Ledger => format!("at line {line}: "),
            _ => format!("{file}:{line}:"),
        };
        let parts: Vec<&str> = match self.kind {
            Kind::CsvPlan | Kind::YamlPlan => told.split("\n\n").collect(),
            _ => vec![told],
        };
        let fits = |part: &&str| part.contains(self.says) && part.contains(&place);
        let Some(part) = parts.into_iter().find(fits) else {
            return Err(format!("{place} and {:?} are not said together in: {}", self.says, short(told)));
        };
        let has_remedy = match self.kind {
            Kind::CsvPlan | Kind::YamlPlan => part.contains("= help: "),
            Kind::Scenario => part.contains("; ") || part.contains("expected"),
            // the executable adds it
            _ => true,
        };
        if has_remedy { Ok(Class::RefusedAtLine) } else { Err(format!("no remedy: {}", short(told))) }
    }

    /// Shows it to the real executable, under limits, and says what is wrong with what that says.
    pub fn show(&self) -> Result<Shown, String> {
        let folder = self.lay_out();
        let file = &self.files[0].0;
        let good = "data_engine_id,new_image_version_id,region\nDataEngine-a,image-new,ap-guangzhou\n";
        fs::write(folder.path().join("good.csv"), good).expect("written");
        let mut command = executable(folder.path());
        // in colour, because otherwise what steers a terminal would be taken out on the way
        command.args(["--color", "always"]);
        match self.kind {
            Kind::Scenario => command.args(["run", "good.csv", "--dry-run", &format!("--simulate={file}")]),
            Kind::Ledger => command.args(["ledger", "check", file]),
            _ => command.args(["check", file]),
        };
        let shown = super::limits::run(&command);
        let ran = &shown.ran;
        let code = match (self.class, self.kind) {
            (Class::Sound, _) => 0,
            (_, Kind::Ledger) => 6,
            _ => 2,
        };
        let told = format!("{}{}", ran.stdout, ran.stderr);
        if ran.code != Some(code) {
            return Err(format!("{}: exit {:?} where {code} is due: {}", self.name, ran.code, short(&told)));
        }
        if let Some(what) = unclear(ran) {
            return Err(format!("{}: {what}: {}", self.name, short(&told)));
        }
        if code != 0 {
            let class = self.judge(&ran.stderr).map_err(|what| format!("{}: {what}", self.name))?;
            assert_eq!(class, self.class, "{}", self.name);
        }
        Ok(shown)
    }
}

/// What one look of the executable at a file came to.
pub struct Shown {
    pub ran: Ran,
    /// Most memory it had, in KiB, where that could be seen.
    pub peak: Option<u64>,
}

/// The text without the colours that the executable gives it.
pub fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| match part.split_once('m') {
        Some((color, rest)) if color.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') => {
            plain + rest
        }
        _ => plain + "\u{1b}[" + part,
    })
}

/// What nobody should read on a terminal.
pub fn unclear(ran: &Ran) -> Option<&'static str> {
    let told = format!("{}{}", ran.stdout, ran.stderr);
    if told.contains("panicked") || told.contains("internal error") {
        return Some("it panicked");
    }
    let steers = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    told.contains(steers).then_some("it steers the terminal")
}

fn said(told: &str, says: &str) -> Result<(), String> {
    if told.contains(says) { Ok(()) } else { Err(format!("{says:?} is not said in: {}", short(told))) }
}

pub fn short(text: &str) -> String {
    text.chars().take(700).collect()
}

fn load(path: &Path) -> Result<String, String> {
    match plan::load(path, None) {
        Ok(plan) => {
            let keys: std::collections::BTreeSet<_> = plan.jobs.iter().map(|job| &job.key).collect();
            assert!(!plan.jobs.is_empty() && keys.len() == plan.jobs.len(), "jobs are unique");
            Ok(format!("{} jobs", plan.jobs.len()))
        }
        Err(PlanError::Invalid(diagnostics)) => Err(diagnostics.render(false)),
        Err(error) => Err(error.to_string()),
    }
}

fn scenario(path: &Path, text: &str) -> Result<String, String> {
    let name = path.display().to_string();
    Scenario::parse(text, &name).map(|scenario| format!("{scenario:?}")).map_err(|error| error.to_string())
}

fn recall(path: &Path) -> Result<String, String> {
    let loaded = ledger::read(path).map_err(|error| error.to_string())?;
    Ok(format!("{} lines, {} bytes torn", loaded.history.lines, loaded.torn.len()))
}

#[cfg(unix)]
fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).expect("a link");
}

#[cfg(not(unix))]
fn link(_: &str, path: &Path) {
    fs::write(path, "").expect("written");
}

/// A command whose streams are read whole.
pub fn captured(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
