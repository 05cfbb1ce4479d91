//! Every reason code has a page, every page a code.

use std::{collections::BTreeSet, path::Path};

use waybill_contracts::reason;

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons");
    let pages: BTreeSet<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<_> = reason::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(codes.len(), reason::ALL.len(), "a code is given twice");
    assert_eq!(pages, codes, "left the pages, right the codes");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for code in codes {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}: the title carries the code");
        let parts =
            ["## Cause", "## What was done", "## What to do"].map(|part| page.find(&format!("\n{part}\n")));
        assert!(
            parts.iter().all(Option::is_some) && parts.is_sorted(),
            "{code}: Cause, What was done, What to do, in this order"
        );
        assert!(page.lines().count() <= 25, "{code}: a page that somebody reads at night is short");
        assert!(index.contains(&format!("[{code}]({code}.md)")), "{code} is not in the index");
    }
}
