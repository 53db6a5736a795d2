//! The map in `lib.rs` against the code: who knows whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The table of modules: what each module may know.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(source().join("lib.rs")).expect("lib.rs");
    let names =
        |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<String>>();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let mut modules = BTreeMap::new();
    for row in rows {
        let mut cells = row.split('|');
        let module = cells.next().expect("a module").trim().trim_matches('`').to_owned();
        modules.insert(module, names(cells.next().expect("a second column")));
    }
    // `commands` composes the program and may know every module; its row says so in a word
    assert!(text.contains("//! | `commands` | everything |"));
    modules.insert("commands".into(), modules.keys().cloned().collect());
    modules
}

/// Every file of a module, with the modules that its `crate::` paths name.
fn knowledge() -> Vec<(PathBuf, String, BTreeSet<String>)> {
    let mut files = Vec::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let outside_modules = [source().join("lib.rs"), source().join("main.rs")];
    let in_modules = files.into_iter().filter(|file| !outside_modules.contains(file));
    in_modules
        .map(|file| {
            let inside = file.strip_prefix(source()).expect("inside").components().next().expect("a module");
            let module =
                Path::new(inside.as_os_str()).file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file).expect("a file");
            let known =
                text.split("crate::").skip(1).filter_map(first_name).filter(|name| *name != module).collect();
            (file, module, known)
        })
        .collect()
}

fn first_name(rest: &str) -> Option<String> {
    let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn no_module_knows_more_than_the_map_allows() {
    let table = table();
    for (file, module, known) in knowledge() {
        let allowed =
            table.get(&module).unwrap_or_else(|| panic!("{} is in no module of the map", file.display()));
        let strangers: BTreeSet<_> = known.difference(allowed).collect();
        assert!(strangers.is_empty(), "{} knows {strangers:?}, which the map does not allow", file.display());
    }
}

#[test]
fn every_arrow_of_the_map_is_used() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, module, known) in knowledge() {
        used.entry(module).or_default().extend(known);
    }
    for (module, allowed) in table().into_iter().filter(|(module, _)| module != "commands") {
        let idle: BTreeSet<_> = allowed.difference(&used[&module]).cloned().collect();
        assert!(idle.is_empty(), "the map lets {module} know {idle:?}, and it does not");
    }
}

#[test]
fn every_file_opens_with_its_purpose() {
    for (file, _, _) in knowledge() {
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(text.starts_with("//! "), "{} does not open with its purpose", file.display());
    }
}

#[test]
fn the_run_knows_nothing_of_how_it_is_shown_typed_or_simulated() {
    for (file, module, known) in knowledge() {
        if module == "run" {
            for stranger in ["report", "sim", "cli", "settings", "commands"] {
                assert!(!known.contains(stranger), "{} knows {stranger}", file.display());
            }
            let text = std::fs::read_to_string(&file).expect("a file");
            assert!(!text.contains("cloud::http"), "{} knows cloud::http", file.display());
        }
    }
}
