//! What needs nothing around it: bad usage, things that do not answer, schemas in git.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A port that nothing listens on: bound once, then freed.
fn silent_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn waybillctl(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybillctl"));
    for name in [
        "WAYBILL_KAFKA__BOOTSTRAP_SERVERS",
        "WAYBILL_KAFKA__NAMESPACE",
        "WAYBILL_REGISTRY__URL",
        "WAYBILL_TRACKER_URL",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn bad_usage_ends_with_64() {
    for arguments in [
        &["topic"][..],
        &["where"],
        &["topics", "apply", "--partitions-override", "0"],
        &["topics", "list", "--namespace", "a.b"],
        &["topics", "list", "--target", "Ward EHR"],
        &["topics", "list", "--routes", "no-such-file.toml"],
        &["schemas", "check", "--folder", "no-such-folder"],
        &["topics", "check", "--config", "no-such-file.toml"],
        &["balance", "--tracker-url", "nonsense"],
    ] {
        let output = waybillctl(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn what_does_not_answer_is_one_clear_line_and_69() {
    let port = silent_port();
    let (server, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    for (arguments, says) in [
        (&["topics", "check", "--bootstrap-servers", &server][..], "Kafka at 127.0.0.1"),
        (&["topics", "apply", "--bootstrap-servers", &server], "Kafka at 127.0.0.1"),
        (&["schemas", "register", "--registry-url", &url], "the schema registry at http://127.0.0.1"),
        (&["where", "LAB-1", "--tracker-url", &url], "the tracker at http://127.0.0.1"),
        (&["balance", "--tracker-url", &url], "the tracker at http://127.0.0.1"),
    ] {
        let output = waybillctl(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(69), "{arguments:?}: {text}");
        assert!(text.starts_with(&format!("waybillctl: {says}")) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn the_list_names_topics_of_routed_targets() {
    let folder = tempfile::tempdir().unwrap();
    let routes = folder.path().join("routes.toml");
    std::fs::write(
        &routes,
        "[[target]]\nname = \"ward-ehr\"\naddress = \"ward:2575\"\n[[rule]]\nname = \"all\"\n",
    )
    .unwrap();
    let output = waybillctl(&[
        "topics",
        "list",
        "--namespace",
        "t1",
        "--target",
        "his",
        "--routes",
        routes.to_str().unwrap(),
    ]);
    let text = stdout(&output);
    assert!(output.status.success());
    for topic in [
        "t1.lab.delivery.his.v1 ",
        "t1.lab.delivery.ward-ehr.v1 ",
        "t1.lab.delivery.ward-ehr.v1.dlq.lab-distributor.ward-ehr ",
    ] {
        assert!(text.contains(topic), "{topic} in {text}");
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", stderr(&output));
}

fn schema(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","namespace":"n","doc":"d","fields":[{fields}]}}"#)
}

/// A repository with two versions of one schema, the second in a file of another name.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("origin");
    std::fs::create_dir_all(root.join("schemas")).unwrap();
    git(&root, &["init", "-q"]);
    let commit = |name: &str, text: &str| {
        std::fs::write(root.join("schemas").join(name), text).unwrap();
        git(&root, &["add", "-A"]);
        git(&root, &["commit", "-q", "-m", "m"]);
    };
    let id = r#"{"name":"id","type":"string","doc":"the id of the record, so that the file is long enough to be followed"}"#;
    commit("old.v1.avsc", &schema(id));
    git(&root, &["mv", "schemas/old.v1.avsc", "schemas/r.v1.avsc"]);
    commit(
        "r.v1.avsc",
        &schema(&format!(r#"{id},{{"name":"n","type":["null","int"],"doc":"n","default":null}}"#)),
    );
    (folder, root)
}

#[test]
fn schemas_are_compared_with_every_version_in_git_across_renames() {
    let (_folder, root) = repository();
    let schemas = root.join("schemas");
    let check = || waybillctl(&["schemas", "check", "--folder", schemas.to_str().unwrap()]);
    let output = check();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("ok      r.v1  2 versions in git, 0 in history"), "{}", stdout(&output));

    // Compatible with the last version, not with the first: the new field of the second cannot become required.
    std::fs::write(schemas.join("r.v1.avsc"), schema(r#"{"name":"other","type":"string","doc":"o"}"#))
        .unwrap();
    let output = check();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for says in [
        "FAILED  r.v1",
        "R.id was removed (since commit",
        "R.n was removed",
        "R.other is new and has no default",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn a_shallow_clone_compares_with_what_it_has_and_says_so() {
    let (folder, root) = repository();
    let clone = folder.path().join("clone");
    let url = format!("file://{}", root.display());
    git(folder.path(), &["clone", "-q", "--depth", "1", &url, clone.to_str().unwrap()]);
    let output = waybillctl(&["schemas", "check", "--folder", clone.join("schemas").to_str().unwrap()]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).contains("1 version in git"), "{}", stdout(&output));
}

#[test]
fn without_git_the_history_folder_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("history/r.v1")).unwrap();
    let id = r#"{"name":"id","type":"string","doc":"d"}"#;
    std::fs::write(folder.path().join("r.v1.avsc"), schema(&id.replace("string", "long"))).unwrap();
    std::fs::write(folder.path().join("history/r.v1/1.avsc"), schema(id)).unwrap();
    let output = waybillctl(&["schemas", "check", "--folder", folder.path().to_str().unwrap()]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("R.id was string and is long (since history/1)")
            && text.contains("no history from git"),
        "{text}"
    );
}

#[test]
fn the_schemas_of_this_tree_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let output = waybillctl(&["schemas", "check", "--folder", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stdout(&output));
}
