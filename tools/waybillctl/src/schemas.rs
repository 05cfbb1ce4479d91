//! `schemas check`: every schema against every version of it, without a registry.

mod evolution;
mod lint;
mod types;
mod versions;

use std::{collections::BTreeSet, io::Write, path::Path};

use types::Types;
use versions::Version;

use crate::{
    cli::CheckArgs,
    failure::{Exit, Failure},
};

/// Compares and lints all schemas of a folder.
pub(crate) fn check(arguments: &CheckArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let files = schema_files(&arguments.folder)?;
    let mut problems = 0;
    let mut no_git = BTreeSet::new();
    for name in &files {
        let file = arguments.folder.join(format!("{name}.avsc"));
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
        let versions = versions::of(&arguments.folder, name);
        let found = problems_of(&text, &versions.all);
        let seen = versions.seen();
        match found.len() {
            0 => writeln!(out, "ok      {name}  {seen}")?,
            _ => writeln!(out, "FAILED  {name}  {seen}")?,
        }
        for problem in &found {
            writeln!(out, "        {problem}")?;
        }
        problems += found.len();
        no_git.extend(versions.no_git);
    }
    for reason in no_git {
        writeln!(out, "no history from git: {reason}")?;
    }
    writeln!(out, "{} schemas, {problems} problems", files.len())?;
    Ok(if problems == 0 { Exit::Ok } else { Exit::Differs })
}

fn schema_files(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |what: &str| Failure::Usage(format!("{}: {what}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(&error.to_string()))?;
    let mut names: Vec<_> = entries
        .filter_map(|entry| {
            entry.ok()?.file_name().into_string().ok()?.strip_suffix(".avsc").map(str::to_owned)
        })
        .collect();
    names.sort();
    if names.is_empty() { Err(unreadable("no schema (*.avsc) in this folder")) } else { Ok(names) }
}

/// Everything that is wrong with a schema, given its earlier versions.
fn problems_of(text: &str, versions: &[Version]) -> Vec<String> {
    let (current, schema) = match (Types::parse(text), apache_avro::Schema::parse_str(text)) {
        (Ok(types), Ok(schema)) => (types, schema),
        (Err(problem), _) => return vec![problem],
        (_, Err(error)) => return vec![format!("is no Avro schema: {error}")],
    };
    let mut found = lint::problems(&current);
    for Version { label, text } in versions {
        let earlier = match (Types::parse(text), apache_avro::Schema::parse_str(text)) {
            (Ok(types), Ok(schema)) => (types, schema),
            // Whatever was in git and no schema was never registered either.
            _ => continue,
        };
        let broken = evolution::problems(&earlier.0, &current);
        let named = broken.is_empty();
        found.extend(broken.into_iter().map(|problem| format!("{problem} (since {label})")));
        if named && let Err(problem) = evolution::mutually_readable(&earlier.1, &schema) {
            found.push(format!("{problem} (with {label})"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"type":"record","name":"R","namespace":"n","doc":"d","fields":[
        {"name":"id","type":"string","doc":"d"},
        {"name":"birthDate","type":["null","string"],"doc":"d","phi":"date","default":null},
        {"name":"state","doc":"d","type":{"type":"enum","name":"S","namespace":"n","symbols":["A","B"],"default":"A"}},
        {"name":"way","doc":"d","type":{"type":"enum","name":"W","namespace":"n","symbols":["X"]}},
        {"name":"part","doc":"d","type":{"type":"record","name":"P","namespace":"n","doc":"d","fields":[{"name":"x","type":"int","doc":"d"}]}}]}"#;

    fn against_first(text: &str) -> Vec<String> {
        let first = Version { label: "first".to_owned(), text: FIRST.to_owned() };
        problems_of(text, &[first])
    }

    #[test]
    fn additions_with_defaults_pass() {
        assert_eq!(against_first(FIRST), [""; 0]);
        let more = FIRST
            .replace(
                r#"{"name":"id""#,
                r#"{"name":"extra","type":["null","string"],"doc":"d","default":null},{"name":"id""#,
            )
            .replace(r#"["A","B"]"#, r#"["A","B","C"]"#);
        assert_eq!(against_first(&more), [""; 0]);
    }

    #[test]
    fn a_type_that_is_used_earlier_now_is_no_change() {
        let moved = r#"{"name":"part","doc":"d","type":{"type":"record","name":"P","namespace":"n","doc":"d","fields":[{"name":"x","type":"int","doc":"d"}]}}"#;
        let first = r#"{"name":"before","doc":"d","default":null,"type":["null",{"type":"record","name":"P","namespace":"n","doc":"d","fields":[{"name":"x","type":"int","doc":"d"}]}]}"#;
        let text = FIRST
            .replace(moved, r#"{"name":"part","doc":"d","type":"n.P"}"#)
            .replace(r#"{"name":"id""#, &format!(r#"{first},{{"name":"id""#));
        assert_eq!(against_first(&text), [""; 0]);
    }

    #[test]
    fn every_other_change_is_named() {
        for (from, to, says) in [
            (r#"{"name":"id","type":"string","doc":"d"},"#, "", "R.id was removed"),
            (
                r#"{"name":"id""#,
                r#"{"name":"n","type":"int","doc":"d"},{"name":"id""#,
                "R.n is new and has no default",
            ),
            (r#""id","type":"string""#, r#""id","type":"bytes""#, "R.id was string and is bytes"),
            (r#""x","type":"int""#, r#""x","type":"long""#, "P.x was int and is long"),
            (r#"["A","B"]"#, r#"["A"]"#, "S lost the symbol B"),
            (r#"["X"]"#, r#"["X","Y"]"#, "W has the new symbol Y and no default"),
            (r#""phi":"date","#, "", "R.birthDate lost its phi"),
            (r#""name":"R""#, r#""name":"Q""#, "the root was n.R and is n.Q"),
        ] {
            let problems = against_first(&FIRST.replace(from, to));
            assert!(problems.iter().any(|problem| problem.contains(says)), "{says}: {problems:?}");
        }
    }

    #[test]
    fn the_lint_names_fields() {
        for (from, to, says) in [
            (r#""id","type":"string","doc":"d""#, r#""id","type":"string""#, "R.id has no doc"),
            (r#""phi":"date""#, r#""phi":"secret""#, "R.birthDate has phi \"secret\""),
            (r#""name":"id""#, r#""name":"family""#, "R.family identifies a person and carries no phi"),
            (
                r#"{"name":"id""#,
                r#"{"name":"dueDate","type":"string","doc":"d"},{"name":"id""#,
                "R.dueDate identifies a person",
            ),
        ] {
            let problems = problems_of(&FIRST.replace(from, to), &[]);
            assert!(problems.iter().any(|problem| problem.contains(says)), "{says}: {problems:?}");
        }
        assert!(problems_of("{", &[])[0].contains("no JSON"));
        assert!(problems_of(r#"{"type":"nothing"}"#, &[])[0].contains("no Avro schema"));
    }
}
