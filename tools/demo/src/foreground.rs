//! `demo run`: all services in the foreground against the stack as it stands; logs behind their names.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use waybill_testkit::{Installation, Stack, TOKEN, Target, Unit};

use crate::{screen::Screen, stop_signal};

/// Where the example routing table sends results; nobody listens there unless the user starts a receiver.
const TARGETS: [(&str, &str); 2] = [("ehr-portal", "127.0.0.1:2601"), ("public-health", "127.0.0.1:2602")];
/// Time between two looks at the logs.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until Ctrl-C, or until a service ends by itself, which is an error.
pub async fn run(stack: &Stack, folder: &Path, screen: &mut Screen) -> anyhow::Result<()> {
    let mut builder = Installation::on(stack).as_it_stands().shielded().folder(folder);
    for (name, address) in TARGETS {
        builder = builder.target(Target::new(name, address));
    }
    if io::stdout().is_terminal() {
        builder = builder.set_all("telemetry.format", "human");
    }
    let mut installation = builder.prepare().await?;
    let mut tails = Vec::new();
    for unit in Unit::ALL {
        let log = folder.join(format!("{unit}.log"));
        // The log of the last time is not repeated.
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        installation.start(unit)?;
        tails.push((unit, BufReader::new(File::open(&log)?), String::new()));
    }
    screen.line(&format!("Configuration and logs: {}", folder.display()));
    screen
        .line("MLLP: ehr 127.0.0.1:2575, lis 127.0.0.1:2576. Tracker: http://127.0.0.1:8090/api/v1/messages");
    screen.line(&format!(
        "HTTP: POST http://127.0.0.1:8080/fhir and /hl7 with `Authorization: Bearer {TOKEN}`"
    ));
    for (name, address) in TARGETS {
        screen.line(&format!(
            "Results for {name} go to {address}: `target/debug/simulator receive --listen {address}`"
        ));
    }
    screen.line("Ctrl-C stops all.");
    let mut stop = std::pin::pin!(stop_signal());
    let ended = loop {
        show(&mut tails, screen)?;
        let mut ended = None;
        for unit in Unit::ALL {
            if !installation.unit(unit)?.is_running() {
                ended = Some(unit);
            }
        }
        if ended.is_some() {
            break ended;
        }
        tokio::select! {
            () = &mut stop => break None,
            () = tokio::time::sleep(LOOK) => {}
        }
    };
    screen.line("stopping");
    let stopped = installation.stop().await;
    show(&mut tails, screen)?;
    stopped?;
    match ended {
        Some(unit) => anyhow::bail!("{unit} has ended by itself"),
        None => Ok(()),
    }
}

type Tail = (Unit, BufReader<File>, String);

/// Prints what was logged since; a line that is not whole yet waits.
fn show(tails: &mut [Tail], screen: &mut Screen) -> io::Result<()> {
    for (unit, reader, line) in tails {
        while reader.read_line(line)? > 0 && line.ends_with('\n') {
            screen.line(&format!("{:<20} | {}", unit.name(), line.trim_end()));
            line.clear();
        }
    }
    Ok(())
}
