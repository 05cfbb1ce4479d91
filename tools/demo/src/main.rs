//! `demo`: see the library. `demo run`: the services in the foreground.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use waybill_contracts::Timestamp;
use waybill_demo::{
    audit::Audit,
    closing, foreground, messages,
    options::Options,
    scene::{self, Pace, Receivers},
    screen::Screen,
    stop_signal,
};
use waybill_testkit::Stack;

const USAGE: &str = "usage: demo [run]\n\
  demo      real messages through a whole installation, then an account of all of them\n\
  demo run  the services in the foreground until Ctrl-C\n\
settings of the demo: DEMO_COUNT, DEMO_SEED, DEMO_MESSAGES=<folder>, DEMO_RATE, DEMO_OUTAGE=<seconds>, DEMO_KEEP=1";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut screen = Screen::default();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demo(&mut screen).await,
        ["run"] => run(&mut screen).await.map(|()| true),
        ["-h" | "--help" | "help"] => {
            screen.line(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            screen.line(USAGE);
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.line(&format!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(screen: &mut Screen) -> anyhow::Result<()> {
    let stack = Stack::from_env();
    stack.reach().await?;
    ports_are_free()?;
    foreground::run(&stack, &folder("run")?, screen).await
}

/// What listens on our ports may be another demo, whose topics must not be taken from under it.
fn ports_are_free() -> anyhow::Result<()> {
    for port in [2575, 2576, 8080, 8090, 9101, 9102, 9106] {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        TcpListener::bind(address).with_context(|| {
            format!("{address} is taken: stop the other demo, `make run`, or what else listens there")
        })?;
    }
    Ok(())
}

/// `target/<name>`, beside where this program was built.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("where is target/?")?;
    Ok(target.join(name))
}

async fn demo(screen: &mut Screen) -> anyhow::Result<bool> {
    // Two seconds apart two seeds differ; a day apart they are still short.
    let options =
        Options::from_env((Timestamp::now().as_millis() / 1000).rem_euclid(1 << 24).cast_unsigned())?;
    let stack = Stack::from_env();
    stack.reach().await?;
    ports_are_free()?;
    let letters = match &options.folder {
        None => {
            screen.line(&format!(
                "{} messages of a seeded hospital, DEMO_SEED={}",
                options.count, options.seed
            ));
            let letters = messages::generated(options.seed, options.count);
            screen.line(&format!("  {}", messages::summary(&letters)));
            letters
        }
        Some(folder) => {
            let (letters, skipped) = messages::from_folder(folder)?;
            screen.line(&format!("{} messages of {}", letters.len(), folder.display()));
            for name in skipped {
                screen.line(&format!("  left out, no HL7 v2 message that is answered: {name}"));
            }
            letters
        }
    };
    let plan = scene::plan(&letters);
    let receivers = Receivers::start(plan.refused_order.as_deref()).await?;
    let logs = folder("demo")?;
    if logs.exists() {
        std::fs::remove_dir_all(&logs).with_context(|| format!("cannot remove {}", logs.display()))?;
    }
    screen.line("starting ehr-ingest, lab-distributor and confirmation-tracker");
    // A namespace per run: an earlier run's messages cannot be mistaken for this one's.
    let namespace = format!("demo-{:x}", Timestamp::now().as_millis() / 1000);
    let builder = scene::install(&stack, &receivers, &namespace).await?;
    let starting = builder.default_ports().shielded().folder(&logs).keep(true).start();
    let mut stop = std::pin::pin!(stop_signal());
    let mut installation = tokio::select! {
        started = starting => started?,
        () = &mut stop => anyhow::bail!("stopped"),
    };
    let pace = Pace { rate: options.rate, outage: options.outage };
    let whole = async {
        let sent = scene::play(&installation, &receivers, letters, pace, screen).await?;
        let evidence = scene::settle(&installation, &receivers, sent, screen).await?;
        let accounted = closing::show(&installation, &Audit::of(&evidence, &plan), screen)?;
        anyhow::Ok(accounted)
    };
    let outcome = tokio::select! {
        outcome = whole => outcome,
        () = &mut stop => Err(anyhow::anyhow!("stopped")),
    };
    if options.keep && outcome.is_ok() {
        screen.line(
            "\nThe services go on (DEMO_KEEP=1): ehr 127.0.0.1:2575, lis 127.0.0.1:2576, FHIR and HL7 over HTTP \
             127.0.0.1:8080. Ctrl-C stops them.",
        );
        stop.await;
    }
    installation.stop().await?;
    outcome
}
