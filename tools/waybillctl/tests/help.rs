//! The help texts, as they were agreed: `help.txt`. `WAYBILL_GOLDEN=1 cargo test -p waybillctl --test help` writes it anew.

use std::{fmt::Write as _, path::Path, process::Command};

#[test]
fn help_texts_are_those_of_the_file() {
    let mut all = String::new();
    for command in [
        "",
        "topics",
        "topics apply",
        "topics check",
        "topics list",
        "schemas",
        "schemas check",
        "schemas register",
        "token",
        "token new",
        "map",
        "send",
        "where",
        "balance",
    ] {
        let words: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_waybillctl")).args(&words).output().unwrap();
        assert!(output.status.success(), "{command}");
        writeln!(all, "$ waybillctl {}\n{}", words.join(" "), String::from_utf8(output.stdout).unwrap())
            .unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("WAYBILL_GOLDEN").is_some() {
        std::fs::write(&file, &all).unwrap();
    }
    assert_eq!(all, std::fs::read_to_string(file).unwrap_or_default());
}
