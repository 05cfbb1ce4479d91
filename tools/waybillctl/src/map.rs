//! `map`: what becomes of messages in files, and of each of their fields, by the mapping that `ehr-ingest` has.
//!
//! Nothing is sent and nothing but the files is read. What is printed is the content of the files: it is for the screen of
//! who may see it.

mod coverage;
mod fhir;
mod hl7;
mod judge;
mod report;
mod rules;

use std::path::PathBuf;

use clap::Args;
use ehr_ingest::{config::FeedConfig, feed::Feed, profile::Profile};
use waybill_contracts::PatientKeyer;

use self::{
    coverage::Coverage,
    judge::{Judge, Outcome},
    report::Report,
};
use crate::{
    failure::{Exit, Failure},
    files::{self, Kind, Subject},
};

/// Which files, and by which profile.
#[derive(Debug, Args)]
#[command(
    after_help = "A field is mapped when the events differ without it, or the message would be refused; that is tried, field by\n\
                  field. Keys are made with a secret of no installation: equal keys mean the same patient, no more.\n\
                  Exit codes: 0 all would be accepted, 4 a message would be refused, 64 used wrongly."
)]
pub(crate) struct MapArgs {
    /// Files with HL7 v2 messages or FHIR resources (JSON), and folders of them
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Feed profile to map by
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Name of the feed; it is part of every message's id
    #[arg(long, value_name = "NAME", default_value = "map")]
    feed: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print the coverage of all files together, and of the events nothing
    #[arg(long)]
    coverage: bool,
}

/// What became of one message.
struct Mapped {
    /// File, and the message's place in it where there are several.
    name: String,
    control_id: String,
    outcome: Outcome,
    coverage: Coverage,
    /// Codes that the profile's tables do not have: field or element, and code.
    untranslated: Vec<(String, String)>,
}

/// Maps everything and says what came of it.
pub(crate) fn run(arguments: &MapArgs, out: &mut impl std::io::Write) -> Result<Exit, Failure> {
    let feed = arguments.feed()?;
    let judge = Judge::new(&feed);
    let mut report = Report::new(&feed, arguments.json, arguments.coverage);
    for file in files::list(&arguments.paths)? {
        let subjects = files::read(&file)?.split();
        let several = subjects.len() > 1;
        for (number, mut subject) in (1..).zip(subjects) {
            // As a sender would send it.
            subject.end_segments_properly();
            let name = file.display().to_string();
            let name = if several { format!("{name}#{number}") } else { name };
            report.add(&map(&judge, &feed, name, &subject), out)?;
        }
    }
    report.finish(out)?;
    Ok(if report.any_refused() { Exit::Exception } else { Exit::Ok })
}

fn map(judge: &Judge<'_>, feed: &Feed, name: String, subject: &Subject) -> Mapped {
    let outcome = judge.judge(subject);
    let rules = feed.rules.as_deref();
    let coverage = match subject.kind {
        _ if !matches!(outcome, Outcome::Events(_)) => Coverage::default(),
        Kind::Hl7 => hl7::coverage(judge, subject, rules),
        Kind::Fhir => fhir::coverage(judge, subject),
    };
    let untranslated = rules.map(|rules| untranslated(rules, feed, subject)).unwrap_or_default();
    Mapped { name, control_id: subject.control_id(), outcome, coverage, untranslated }
}

fn untranslated(rules: &Profile, feed: &Feed, subject: &Subject) -> Vec<(String, String)> {
    let missing = match subject.kind {
        Kind::Fhir => rules.untranslated_fhir(&subject.bytes),
        Kind::Hl7 => waybill_hl7v2::Message::parse(&subject.bytes)
            .map(|message| rules.untranslated_v2(&message, feed.charset))
            .unwrap_or_default(),
    };
    missing.into_iter().map(|one| (one.place, one.code)).collect()
}

impl MapArgs {
    fn feed(&self) -> Result<Feed, Failure> {
        let config =
            FeedConfig { name: self.feed.clone(), profile: self.profile.clone(), ..FeedConfig::default() };
        let problems: Vec<String> =
            config.problems(0).iter().map(|problem| problem.message.clone()).collect();
        if !problems.is_empty() {
            return Err(Failure::Usage(problems.join("\n")));
        }
        // Of no installation: what is printed must not tell whose key is whose there.
        Feed::open(&config, PatientKeyer::new(b"waybillctl map"))
            .map_err(|errors| Failure::Usage(errors.to_string()))
    }
}
