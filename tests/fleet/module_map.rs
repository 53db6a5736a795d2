//! The module map in `lib.rs` against the code: which module imports which, and that no two files import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// One file of `src`.
struct Source {
    path: PathBuf,
    /// Its module path below the crate: `["run", "poll", "reader"]`.
    module: Vec<String>,
    /// The paths that its code imports or names, from the crate root. Unit tests do not count.
    paths: BTreeSet<Vec<String>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of `src` but `lib.rs`, `main.rs` and those that hold unit tests.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                sources.push(source(path));
            }
        }
    }
    let tests: BTreeSet<Vec<String>> = sources.iter().flat_map(|(_, tests)| tests.clone()).collect();
    let is_test = |source: &Source| tests.iter().any(|module| source.module.starts_with(module));
    let sources = sources.into_iter().map(|(source, _)| source);
    sources.filter(|source| !source.module.is_empty() && !is_test(source)).collect()
}

/// A file, and the modules that it declares for unit tests alone.
fn source(path: PathBuf) -> (Source, Vec<Vec<String>>) {
    let below = path.strip_prefix(folder()).expect("a file of src").with_extension("");
    let mut module: Vec<String> =
        below.iter().map(|part| part.to_str().expect("a name in Unicode").to_owned()).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    let text = std::fs::read_to_string(&path).expect("a file");
    let file = syn::parse_file(&text).expect("Rust");
    let children = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(child) => Some(child.ident.to_string()),
        _ => None,
    });
    let children = children.collect();
    let mut visitor = Paths { module: module.clone(), children, found: BTreeSet::new(), tests: Vec::new() };
    visitor.visit_file(&file);
    (Source { path, module, paths: visitor.found }, visitor.tests)
}

/// Collects the paths of a file.
struct Paths {
    module: Vec<String>,
    /// The modules that the file declares.
    children: BTreeSet<String>,
    found: BTreeSet<Vec<String>>,
    tests: Vec<Vec<String>>,
}

impl Paths {
    /// Notes a path that starts at the crate, at a module above, or at a child.
    fn note(&mut self, segments: &[String]) {
        let mut from = self.module.clone();
        let mut rest = segments;
        match segments.first().map(String::as_str) {
            Some("crate") => (from, rest) = (Vec::new(), &segments[1..]),
            Some("super") => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    from.pop();
                    rest = &rest[1..];
                }
            }
            Some("self") => rest = &segments[1..],
            Some(child) if self.children.contains(child) => {}
            _ => return,
        }
        from.extend_from_slice(rest);
        self.found.insert(from);
    }

    fn note_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.note_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.note(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.note(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.note_tree(before, item)),
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let path_attribute = item.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
        if is_for_tests(&item.attrs) {
            let below = [self.module.clone(), vec![item.ident.to_string()]].concat();
            self.tests.push(below);
        } else if item.content.is_some() || path_attribute {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` names a module and uses nothing of it
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // a re-export makes a name known and uses nothing
        if matches!(item.vis, syn::Visibility::Inherited) && !is_for_tests(&item.attrs) {
            self.note_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&segments);
        syn::visit::visit_path(self, path);
    }
}

/// The table of `lib.rs`: what each module may import.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(folder().join("lib.rs")).expect("lib.rs");
    let names =
        |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<String>>();
    let mut table = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let mut cells = row.split('|');
        let module = cells.next().expect("a module").trim().trim_matches('`').to_owned();
        table.insert(module, names(cells.next().expect("a second column")));
    }
    // `commands` puts the program together and may import every module; its row says so in a word
    assert!(text.contains("//! | `commands` | everything |"));
    table.insert("commands".into(), table.keys().cloned().collect());
    table
}

/// The top-level modules that a file imports, without its own.
fn imported_modules(source: &Source) -> BTreeSet<String> {
    let own = &source.module[0];
    source.paths.iter().filter_map(|path| path.first()).filter(|module| *module != own).cloned().collect()
}

#[test]
fn no_module_imports_more_than_the_map_allows() {
    let table = table();
    for source in sources() {
        let shown = source.path.display();
        let allowed =
            table.get(&source.module[0]).unwrap_or_else(|| panic!("{shown} is in no module of the map"));
        let others: BTreeSet<_> = imported_modules(&source).difference(allowed).cloned().collect();
        assert!(others.is_empty(), "{shown} imports {others:?}, which the map does not allow");
    }
}

#[test]
fn the_map_allows_nothing_that_is_not_imported() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        used.entry(source.module[0].clone()).or_default().extend(imported_modules(&source));
    }
    for (module, allowed) in table().into_iter().filter(|(module, _)| module != "commands") {
        let idle: BTreeSet<_> = allowed.difference(&used[&module]).cloned().collect();
        assert!(idle.is_empty(), "the map lets {module} import {idle:?}, and it does not");
    }
}

#[test]
fn no_two_files_import_each_other() {
    let sources = sources();
    // a path names an item of the file with the longest matching module path
    let file_of = |path: &[String]| {
        let of_path = sources.iter().filter(|source| path.starts_with(&source.module));
        of_path.max_by_key(|source| source.module.len()).map(|source| &source.path)
    };
    let imports: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = sources
        .iter()
        .map(|source| {
            let imported = source.paths.iter().filter_map(|path| file_of(path));
            (&source.path, imported.filter(|path| **path != source.path).collect())
        })
        .collect();
    let mut mutual = Vec::new();
    for (file, imported) in &imports {
        for other in imported.iter().filter(|other| **other > *file && imports[*other].contains(file)) {
            let [file, other] =
                [file, other].map(|path| path.strip_prefix(folder()).expect("of src").display());
            mutual.push(format!("{file} and {other}"));
        }
    }
    assert!(mutual.is_empty(), "{} pairs of files import each other:\n{}", mutual.len(), mutual.join("\n"));
}

#[test]
fn every_file_opens_with_its_purpose() {
    for source in sources() {
        let text = std::fs::read_to_string(&source.path).expect("a file");
        assert!(text.starts_with("//! "), "{} does not open with its purpose", source.path.display());
    }
}

#[test]
fn the_run_does_not_know_how_it_is_reported_typed_simulated_or_sent() {
    for source in sources().into_iter().filter(|source| source.module[0] == "run") {
        let shown = source.path.display();
        for other in ["report", "simulator", "cli", "settings", "commands"] {
            assert!(!imported_modules(&source).contains(other), "{shown} imports {other}");
        }
        let http = ["cloud".to_owned(), "http".to_owned()];
        assert!(source.paths.iter().all(|path| !path.starts_with(&http)), "{shown} imports cloud::http");
    }
}
