//! Profiles that cannot be used are refused at start, with the file and the line; and what a version is.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use ehr_ingest::{
    config::{AckMode, Config, FeedConfig},
    feed::Feed,
    profile::Profile,
};
use waybill_contracts::PatientKeyer;
use waybill_runtime::config::load;

const TABLE: &str = "code,target_code,target_system,target_display\nA,B,,\n";

/// What is said of a profile of this text, which has the tables `good.csv` and `empty.csv` beside it.
fn faults(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write("good.csv", TABLE);
    write("empty.csv", "code,target_code,target_system,target_display\n");
    write("twice.csv", &format!("{TABLE}A,C,,\n"));
    write("header.csv", "from,to\nA,B\n");
    write("profile.toml", text);
    let Err(errors) = Profile::load(&folder.path().join("profile.toml")) else { return Vec::new() };
    let prefix = format!("{}/", folder.path().display());
    errors.0.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
}

#[test]
fn each_fault_has_its_file_and_line() {
    let name = "name = \"p\"\n";
    for (rules, fault) in [
        ("nmae = 1\n", "profile.toml:2: unknown key `nmae`"),
        ("[[copy]]\nfrom = \"PID-2\"\nto = \"PID-3\"\nif = 1\n", "profile.toml:5: unknown key `if`"),
        ("[[copy]]\nfrom = \"PID-2\"\n", "profile.toml:2: missing field `to`"),
        ("[[copy]]\nfrom = \"PID2\"\nto = \"PID-3\"\n", "profile.toml:3: from is not a place such as PID-3"),
        ("[[copy]]\nfrom = \"PID-2\"\nto = \"PID\"\n", "profile.toml:4: to names a segment, not a field"),
        ("[[copy]]\nfrom = \"IN1[2]-3\"\nto = \"PID-3\"\n", "profile.toml:3: from names one occurrence"),
        ("[[move]]\nfrom = \"PID-2\"\nto = \"MSH-2\"\n", "profile.toml:4: to is MSH-1 or MSH-2"),
        ("[[move]]\nfrom = \"MSH-1\"\nto = \"PID-2\"\n", "profile.toml:3: from is MSH-1 or MSH-2"),
        (
            "[[move]]\nfrom = \"PID-2\"\nto = \"PID-2\"\n",
            "profile.toml:4: to is where the value stands already",
        ),
        (
            "[[move]]\nfrom = \"PID-3\"\nto = \"PID-3.4\"\n",
            "profile.toml:4: to is where the value stands already",
        ),
        (
            "[[move]]\nfrom = \"BHS-3\"\nto = \"PID-3\"\n",
            "profile.toml:3: from is in the header or trailer of a batch",
        ),
        (
            "[[copy]]\nfrom = \"PID-2\"\nto = \"PID-3\"\nwhen = [\"ADT_A01\"]\n",
            "profile.toml:5: when has something",
        ),
        ("[[default]]\nfield = \"PV1-2\"\nvalue = \"\"\n", "profile.toml:4: value is empty"),
        ("[[drop]]\nfield = \"PID-19\"\nreason = \" \"\n", "profile.toml:4: reason is empty"),
        ("[[drop]]\nfield = \"PV1\"\nreason = \"x\"\n", "profile.toml:3: only a Z segment"),
        ("[[authority]]\nname = \"A\"\naliases = []\n", "profile.toml:4: aliases is empty"),
        (
            "[[authority]]\nname = \"A\"\naliases = [\"B\",\n\"B\"]\n",
            "profile.toml:5: the alias is in use already",
        ),
        ("charset = \"klingon\"\n", "profile.toml:2: charset is not a character set"),
        ("utc_offset = \"1\"\n", "profile.toml:2: utc_offset is not of the form +01:00"),
        ("default_authority = \"\"\n", "profile.toml:2: default_authority is empty"),
        ("[[translate]]\ntable = \"good.csv\"\nmode = \"replace\"\n", "profile.toml:3: needs either field"),
        (
            "[[translate]]\nelement = \"code\"\ntable = \"good.csv\"\nmode = \"replace\"\n",
            "profile.toml:3: element is not",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"good.csv\"\nmode = \"swap\"\n",
            "profile.toml:5: unknown variant",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"good.csv\"\nmode = \"add\"\n",
            "profile.toml:4: a row has no target_system",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"none.csv\"\nmode = \"replace\"\n",
            "profile.toml:4: table none.csv cannot be read",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"empty.csv\"\nmode = \"replace\"\n",
            "empty.csv:1: the table has no rows",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"twice.csv\"\nmode = \"replace\"\n",
            "twice.csv:3: has a code that an earlier",
        ),
        (
            "[[translate]]\nfield = \"PV1-2\"\ntable = \"header.csv\"\nmode = \"replace\"\n",
            "header.csv:1: the header line is not",
        ),
    ] {
        let found = faults(&format!("{name}{rules}"));
        assert!(found.len() == 1 && found[0].starts_with(fault), "{fault:?} is not {found:?}");
    }
    assert_eq!(faults("name = \"a b\"\n"), ["profile.toml:1: name has 1 to 40 letters, digits, '-' and '_'"]);
    assert!(faults("")[0].contains("missing field `name`"));
    let all = faults("name = \"p\"\ncharset = \"x\"\n[[copy]]\nfrom = \"a\"\nto = \"b\"\n");
    assert_eq!(all.len(), 3, "every fault at once: {all:?}");
    assert!(
        Profile::load(Path::new("no-such.toml"))
            .unwrap_err()
            .to_string()
            .starts_with("no-such.toml: cannot be read")
    );
}

/// A configuration in a folder of its own with `profile.toml` beside it.
fn configured(feed: &str, profile: &str) -> Result<(Config, Vec<Feed>), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ehr-ingest.toml");
    let head = "[patient_key]\nallow_development_secret = true\n[[feed]]\nname = \"f\"\n";
    fs::write(&file, format!("{head}{feed}")).unwrap();
    fs::write(folder.path().join("profile.toml"), profile).unwrap();
    let loaded = load::<Config>(Some(&file), std::iter::empty()).map_err(|errors| errors.to_string())?;
    let feeds = loaded.compiled_feeds().unwrap();
    assert!(feeds[0].rules.is_some());
    Ok((loaded, feeds))
}

#[test]
fn the_configuration_finds_its_profile_and_says_what_is_wrong_with_it() {
    let named = "profile = \"profile.toml\"\n";
    configured(named, "name = \"p\"\n").unwrap();
    let said = configured(named, "name = \"p\"\n[[copy]]\nfrom = \"PID\"\nto = \"PID-3\"\n").unwrap_err();
    assert!(
        said.contains("line 5: feed.0.profile: ") && said.contains("profile.toml:3: from names a segment"),
        "{said}"
    );
    let missing = configured("profile = \"other.toml\"\n", "").unwrap_err();
    assert!(missing.contains("other.toml: cannot be read"), "{missing}");
}

#[test]
fn what_the_profile_says_is_not_said_again() {
    let profile = "name = \"p\"\ncharset = \"8859/1\"\nutc_offset = \"+01:00\"\n[accept]\nversions = [\"2.3\"]\n[ack]\nmode = \"original\"\n";
    let feed = "profile = \"profile.toml\"\ncharset = \"8859/2\"\nutc_offset = \"+02:00\"\n[feed.accept]\nversions = [\"2.5\"]\n[feed.ack]\nmode = \"enhanced\"\n";
    let said = configured(feed, profile).unwrap_err();
    for key in ["feed.0.charset", "feed.0.utc_offset", "feed.0.accept", "feed.0.ack"] {
        assert!(said.contains(&format!("{key}: is set in the profile as well")), "{said}");
    }
    let feeds = configured("profile = \"profile.toml\"\n", profile).unwrap().1;
    assert_eq!(feeds[0].ack.mode, AckMode::Original);
    assert_eq!((feeds[0].utc_offset, feeds[0].accept.versions.as_slice()), (60, &["2.3".to_owned()][..]));
}

#[test]
fn the_version_follows_the_content_and_nothing_else() {
    let version = |folder: &Path, feed: &str| {
        let config = FeedConfig {
            name: feed.into(),
            profile: Some(folder.join("profile.toml")),
            ..FeedConfig::default()
        };
        Feed::open(&config, PatientKeyer::new(b"test")).unwrap().profile
    };
    let text = "name = \"p\"\n[[translate]]\nfield = \"PV1-2\"\ntable = \"t.csv\"\nmode = \"replace\"\n";
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &other] {
        fs::write(folder.path().join("profile.toml"), text).unwrap();
        fs::write(folder.path().join("t.csv"), TABLE).unwrap();
        fs::write(folder.path().join("unused.csv"), folder.path().display().to_string()).unwrap();
    }
    let first = version(one.path(), "a");
    assert!(first.starts_with("p@") && first.len() == 10, "{first}");
    assert_eq!(first, version(other.path(), "b"), "the same content elsewhere");
    fs::write(other.path().join("t.csv"), format!("{TABLE}C,D,,\n")).unwrap();
    let table_changed = version(other.path(), "b");
    assert_ne!(first, table_changed);
    fs::write(other.path().join("t.csv"), TABLE).unwrap();
    assert_eq!(first, version(other.path(), "b"), "and back");
    fs::write(other.path().join("profile.toml"), format!("{text}# \n")).unwrap();
    assert_ne!(first, version(other.path(), "b"));
}
