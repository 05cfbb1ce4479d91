//! What is shown at the end.

use std::collections::BTreeMap;

use anyhow::Context as _;
use waybill_contracts::MessageId;
use waybill_testkit::Installation;

use crate::{audit::Audit, screen::Screen};

/// Findings shown; the rest is counted.
const SHOWN: usize = 40;

/// Balance sheet, waybills, addresses, verdict. Gives whether everything is accounted for.
pub fn show(installation: &Installation, audit: &Audit, screen: &mut Screen) -> anyhow::Result<bool> {
    screen.head("Balance sheet (waybillctl balance)");
    let balanced = run(installation, &["balance"], &[0, 1], screen)? == 0;
    for (title, example) in [
        ("A delivered message", audit.delivered_example),
        ("A message that a receiver refused", audit.rejected_example),
        ("A FHIR Bundle", audit.bundle_example),
        ("A message that recovered after the receiver was down", audit.recovered_example),
    ] {
        screen.head(&format!("{title} (waybillctl where <id>)"));
        match example {
            Some(id) => {
                run(installation, &["where", &id.to_string()], &[0, 3, 4], screen)?;
            }
            None => screen.line("  none in this run"),
        }
        if example.is_some() && example == audit.bundle_example {
            // Lines are for those who subscribe; the rest of it waits in its topics for those to come.
            screen.line(&format!("    became    {}", counts(&audit.bundle_events)));
        }
    }
    screen.head("Look around");
    let tracker = installation.tracker();
    screen.line(&format!("  tracker  {}/api/v1/messages?state=exception", tracker.base()));
    screen.line(&format!(
        "           {}/api/v1/balance, {}/api/openapi.json",
        tracker.base(),
        tracker.base()
    ));
    let example = audit.recovered_example.or(audit.delivered_example);
    if let (Some(jaeger), Some(id)) = (installation.jaeger(), example) {
        screen.line(&format!("  trace    {}", jaeger.page(id)));
        screen.line(&format!("           {} (JSON)", jaeger.page(id).replace("/trace/", "/api/traces/")));
    }
    screen.line(&format!("  logs     {}", installation.folder().display()));
    verdict(audit, balanced, screen);
    Ok(balanced && audit.findings.is_empty())
}

fn verdict(audit: &Audit, balanced: bool, screen: &mut Screen) {
    screen.head("Verdict: senders, Kafka, tracker and receivers compared");
    screen.line(&format!(
        "  {} messages acknowledged and stored byte for byte, {} refused at the door and on record",
        audit.accepted, audit.refused
    ));
    screen.line(&format!("  events named by the manifests, each in its topic: {}", counts(&audit.events)));
    for (target, count) in &audit.confirmed {
        screen.line(&format!(
            "  {count} deliveries confirmed by {target}, each found there with the same content"
        ));
    }
    screen.line(&format!(
        "  {} deliveries refused by their receiver, each an exception with a reason",
        audit.rejected
    ));
    if !balanced {
        screen.line("  The balance sheet does NOT balance.");
    }
    for finding in audit.findings.iter().take(SHOWN) {
        screen.line(&format!("  MISSING  {finding}"));
    }
    if audit.findings.len() > SHOWN {
        screen.line(&format!("  ... and {} more", audit.findings.len() - SHOWN));
    }
    if balanced && audit.findings.is_empty() {
        screen.line("  Everything is accounted for.");
    }
}

fn counts(events: &BTreeMap<String, usize>) -> String {
    let counts: Vec<_> =
        events.iter().map(|(topic, count)| format!("{count} {}", topic.trim_end_matches(".v1"))).collect();
    counts.join(", ")
}

/// The recovered message's id is the trace id as well.
pub fn example(audit: &Audit) -> Option<MessageId> {
    audit.recovered_example.or(audit.delivered_example)
}

fn run(
    installation: &Installation,
    arguments: &[&str],
    fine: &[i32],
    screen: &mut Screen,
) -> anyhow::Result<i32> {
    let output = installation.waybillctl(arguments)?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        screen.line(&format!("  {line}"));
    }
    let code = output.status.code().context("waybillctl was killed")?;
    anyhow::ensure!(
        fine.contains(&code),
        "waybillctl {} ended with {code}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(code)
}
