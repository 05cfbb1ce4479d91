//! `send`: messages from files to an MLLP or HTTP address, with what was answered.

mod answer;
mod http;
mod mllp;
mod report;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::sync::{Mutex, mpsc};

use self::{answer::Answer, http::HttpClient, mllp::MllpClient, report::Report};
use crate::{
    failure::{Exit, Failure},
    files::{self, Kind, Subject},
};

/// What to send, and where to.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("where to").required(true).args(["mllp", "http"]),
    after_help = "Exit codes: 0 all accepted, 1 something was refused or not answered, 64 used wrongly, 69 nothing answers there."
)]
pub(crate) struct SendArgs {
    /// Files with HL7 v2 messages or FHIR resources (JSON), and folders of them in the order of their names
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Send HL7 v2 by MLLP to this address
    #[arg(long, value_name = "HOST:PORT")]
    mllp: Option<String>,
    /// Send by HTTP: HL7 v2 to URL/hl7, FHIR to URL/fhir
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// File with the bearer token for HTTP
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Authority of the receiver's certificate (PEM); for MLLP this turns TLS on
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Certificate to show (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["key", "tls_ca"])]
    cert: Option<PathBuf>,
    /// Its private key (PEM, PKCS #8)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Messages per second over all connections [default: as fast as they are answered]
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Send everything this many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Connections at the same time; with more than one, messages overtake each other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Send each message of a batch (FHS, BHS) or of a file with several messages by itself
    #[arg(long)]
    split: bool,
    /// Send line feeds as they are in the file; without this they become the carriage returns that HL7 v2 demands
    #[arg(long)]
    raw: bool,
    /// Longest time to wait for a connection or an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
}

/// A number of seconds, or of messages in one: neither it nor what one is divided by it exceeds what a clock can wait.
fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| (1e-6..=1e9).contains(number))
        .ok_or("is not a number from 0.000001 to 1000000000".into())
}

/// Certificates as read from their files.
#[derive(Default)]
struct Tls {
    authority: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// One message on its way.
struct Item {
    name: Arc<str>,
    subject: Arc<Subject>,
}

/// One message and what came of it.
struct Done {
    name: Arc<str>,
    control_id: String,
    answer: Answer,
    took: Duration,
}

/// What sends a message and reads the answer.
enum Client {
    Mllp(MllpClient),
    Http(HttpClient),
}

impl Client {
    /// # Errors
    /// When nothing answers at the address; what goes wrong afterwards is an answer of its own kind.
    async fn exchange(&mut self, subject: &Subject) -> Result<Answer, Failure> {
        match self {
            Self::Mllp(client) => client.exchange(subject).await,
            Self::Http(client) => client.exchange(subject).await,
        }
    }
}

/// Sends everything and says what was answered.
pub(crate) async fn run(arguments: &SendArgs, out: &mut impl std::io::Write) -> Result<Exit, Failure> {
    let files = files::list(&arguments.paths)?;
    let tls = arguments.tls()?;
    let clients =
        (0..arguments.connections).map(|_| arguments.client(&tls)).collect::<Result<Vec<_>, _>>()?;
    // A few ahead, so that reading files never makes a connection wait.
    let (to_send, waiting) = mpsc::channel(64);
    let (report_to, mut reports) = mpsc::channel(64);
    let waiting = Arc::new(Mutex::new(waiting));
    let mut report = Report::new(files.len() * arguments.repeat as usize);
    let reading = read(arguments, &files, to_send);
    let lanes: Vec<_> =
        clients.into_iter().map(|client| work(client, waiting.clone(), report_to.clone())).collect();
    let sending = async {
        let results = futures_util::future::join_all(lanes).await;
        // Nobody takes anything any more: the reader may stop.
        drop(waiting);
        results.into_iter().collect::<Result<(), Failure>>()
    };
    drop(report_to);
    let printing = async {
        while let Some(done) = reports.recv().await {
            report.add(&done, out)?;
        }
        Ok(())
    };
    let (read, sent, printed) = tokio::join!(reading, sending, printing);
    printed.and_then(|()| report.finish(out))?;
    read?;
    sent?;
    Ok(if report.all_accepted() { Exit::Ok } else { Exit::Differs })
}

/// Hands out the messages of all files, at the rate that was asked for.
async fn read(arguments: &SendArgs, files: &[PathBuf], to: mpsc::Sender<Item>) -> Result<(), Failure> {
    let pace = arguments.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
    let start = tokio::time::Instant::now();
    let mut sent = 0_u32;
    for _ in 0..arguments.repeat {
        for file in files {
            let subject = files::read(file)?;
            let subjects = if arguments.split { subject.split() } else { vec![subject] };
            let several = subjects.len() > 1;
            for (number, mut subject) in (1..).zip(subjects) {
                if arguments.mllp.is_some() && subject.kind == Kind::Fhir {
                    return Err(Failure::Usage(format!("{}: FHIR does not go by MLLP", file.display())));
                }
                if !arguments.raw {
                    subject.end_segments_properly();
                }
                let name = file.display().to_string();
                let name = if several { format!("{name}#{number}") } else { name };
                if let Some(pace) = pace {
                    tokio::time::sleep_until(start + pace * sent).await;
                }
                sent = sent.saturating_add(1);
                if to.send(Item { name: name.into(), subject: Arc::new(subject) }).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// One connection's work.
async fn work(
    mut client: Client,
    waiting: Arc<Mutex<mpsc::Receiver<Item>>>,
    reports: mpsc::Sender<Done>,
) -> Result<(), Failure> {
    loop {
        let Some(item) = waiting.lock().await.recv().await else { return Ok(()) };
        let started = Instant::now();
        let answer = match client.exchange(&item.subject).await {
            Ok(answer) => answer,
            Err(failure) => {
                // Nothing answers there: the others' messages need not wait for the same.
                waiting.lock().await.close();
                return Err(failure);
            }
        };
        let (control_id, took) = (item.subject.control_id(), started.elapsed());
        let done = Done { name: item.name, control_id, answer, took };
        if reports.send(done).await.is_err() {
            return Ok(());
        }
    }
}

impl SendArgs {
    fn tls(&self) -> Result<Tls, Failure> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((files::bytes(cert)?, files::bytes(key)?)),
            _ => None,
        };
        Ok(Tls { authority: self.tls_ca.as_deref().map(files::bytes).transpose()?, identity })
    }

    fn client(&self, tls: &Tls) -> Result<Client, Failure> {
        let timeout = Duration::from_secs_f64(self.timeout);
        if let Some(address) = &self.mllp {
            return MllpClient::new(address, tls, timeout).map(Client::Mllp);
        }
        let token = match &self.token_file {
            None => None,
            Some(file) => {
                let text = String::from_utf8(files::bytes(file)?).unwrap_or_default();
                let token = text.trim().to_owned();
                if token.is_empty() {
                    return Err(Failure::Usage(format!("{} holds no token", file.display())));
                }
                Some(token)
            }
        };
        let url = self.http.as_deref().unwrap_or_default();
        HttpClient::new(url, token, tls, timeout).map(Client::Http)
    }
}
