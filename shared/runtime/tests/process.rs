//! The life of a real process: signals, exit codes, probes. `examples/specimen.rs` is the service.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A process that is not where it should be by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn specimen() -> Command {
    let mut path = std::env::current_exe().expect("path of the test");
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join("specimen"));
    command.env_clear().env("WAYBILL_TELEMETRY__FORMAT", "json");
    command
}

fn behaving(behaviour: &str) -> Command {
    let mut command = specimen();
    command.env("WAYBILL_SPECIMEN__BEHAVIOUR", behaviour);
    command
}

struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the example is built by cargo test");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut running = Self { child, stderr, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let line = running.wait_for("the admin port answers");
        running.address = line["address"].as_str().expect("an address").parse().expect("an address");
        running
    }

    /// Reads the log up to a message; the end of the log first is a failure.
    fn wait_for(&mut self, message: &str) -> Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.stderr.read_line(&mut line).expect("UTF-8"),
                0,
                "{message:?} not logged:\n{seen}"
            );
            seen.push_str(&line);
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is ours");
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("the admin port answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("UTF-8");
        (exit_code(&mut self.child), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The standard library cannot wait for a child with a limit.
fn exit_code(child: &mut Child) -> i32 {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return status.code().expect("it was not killed by a signal");
        }
        assert!(started.elapsed() < PATIENCE, "the process hangs");
        std::thread::yield_now();
    }
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn sigterm_drains_and_exits_with_0() {
    let mut running = Running::start(behaving("good"));
    running.wait_for("the password was read");
    running.signal(Signal::TERM);
    let stopping = running.wait_for("stopping");
    assert_eq!(stopping["signal"], "SIGTERM");
    assert_eq!(stopping["service"], "specimen");
    let (code, log) = running.end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("\"drained\""), "{log}");
}

#[test]
fn sigint_drains_too() {
    let mut running = Running::start(behaving("good"));
    running.wait_for("the password was read");
    running.signal(Signal::INT);
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_second_signal_exits_with_1_at_once() {
    let mut running = Running::start(behaving("stubborn"));
    running.wait_for("the password was read");
    running.signal(Signal::TERM);
    running.wait_for("stopping");
    assert_eq!(running.get("/ready").0, 503, "the admin port answers while draining");
    running.signal(Signal::TERM);
    let (code, log) = running.end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("second signal"), "{log}");
}

#[test]
fn a_drain_that_takes_too_long_exits_with_1() {
    let mut command = behaving("stubborn");
    command.env("WAYBILL_ADMIN__DRAIN_TIMEOUT", "200ms");
    let mut running = Running::start(command);
    running.wait_for("the password was read");
    running.signal(Signal::TERM);
    let (code, log) = running.end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("the drain took too long"), "{log}");
}

#[test]
fn a_process_whose_threads_are_all_blocked_still_ends() {
    let mut command = behaving("blocking");
    command.env("WAYBILL_ADMIN__DRAIN_TIMEOUT", "200ms").env("WAYBILL_ADMIN__WORKERS", "2");
    let mut running = Running::start(command);
    running.wait_for("component is ready");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 1);
}

#[test]
fn readiness_follows_the_components() {
    let mut running = Running::start(behaving("good"));
    running.wait_for("the password was read");
    let (status, body) = running.get("/ready");
    let report: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &report["status"]), (503, &"not ready".into()));
    assert_eq!(report["components"][0]["name"], "gate");
    assert_eq!(report["components"][0]["reason"], "starting");
    assert_eq!(running.get("/open").0, 200, "a route of the service");
    assert_eq!(running.get("/ready").0, 200);
    assert_eq!(running.get("/nothing").0, 404);

    let (status, body) = running.get("/live");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"tokio\""), "{body}");
    let (_, version) = running.get("/version");
    let version: Value = serde_json::from_str(&version).expect("JSON");
    assert_eq!((&version["service"], &version["version"]), (&"specimen".into(), &"1.2.3".into()));
    let (_, metrics) = running.get("/metrics");
    assert!(metrics.contains("waybill_build_info{service=\"specimen\",version=\"1.2.3\"} 1"), "{metrics}");
    assert!(metrics.contains("waybill_component_ready{component=\"gate\"} 1"), "{metrics}");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_service_that_fails_exits_with_1() {
    for (behaviour, cause) in
        [("error", "the specimen failed"), ("task-panic", "a literal"), ("thread-error", "the loop failed")]
    {
        let (code, log) = Running::start(behaving(behaviour)).end();
        assert_eq!(code, 1, "{behaviour}: {log}");
        assert!(log.contains(cause), "{behaviour}: {log}");
    }
}

#[test]
fn a_panic_exits_with_1_and_says_where_but_not_what_it_was_working_on() {
    let mut command = behaving("panic");
    command.env("WAYBILL_SPECIMEN__PASSWORD", "Dorothea");
    let (code, log) = Running::start(command).end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("specimen.rs:"), "{log}");
    assert!(!log.contains("Dorothea"), "{log}");
}

#[test]
fn a_service_that_ends_by_itself_exits_with_0() {
    assert_eq!(Running::start(behaving("done")).end().0, 0);
}

#[test]
fn a_taken_port_is_a_failed_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = behaving("good");
    command.env("WAYBILL_ADMIN__LISTEN", &address);
    let (code, _, stderr) = output(command);
    assert_eq!(code, 1);
    assert!(stderr.contains("admin.listen") && stderr.contains(&address), "{stderr}");
}

#[test]
fn check_config_names_every_problem_with_its_line_and_exits_with_64() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("specimen.toml");
    let text =
        "[admin]\nlisten = \"127.0.0.1:0\"\nport = 9\n\n[specimen]\nlimit = \"two\"\n\n[extra]\nx = 1\n";
    std::fs::write(&file, text).expect("written");
    let mut command = specimen();
    command.arg("--check-config").arg("--config").arg(&file).env("WAYBILL_SPECIMEN__COLOUR", "red");
    let (code, stdout, stderr) = output(command);
    assert_eq!((code, stdout.as_str()), (64, ""));
    for problem in [
        "4 problems in the configuration",
        "line 3: admin.port: unknown key, expected one of `listen`, `drain_timeout`, `workers`",
        "line 6: specimen.limit: invalid type: string \"two\", expected u32",
        "line 8: extra: unknown key",
        "environment variable WAYBILL_SPECIMEN__COLOUR: specimen.colour: unknown key",
    ] {
        assert!(stderr.contains(problem), "{problem} is missing in\n{stderr}");
    }
    // The same without --check-config: nothing was started.
    let mut command = specimen();
    command.env("WAYBILL_CONFIG", &file);
    assert_eq!(output(command).0, 64);
}

#[test]
fn check_config_accepts_a_good_one() {
    let mut command = specimen();
    command.arg("--check-config");
    assert_eq!(output(command), (0, "the configuration is valid\n".to_owned(), String::new()));
}

#[test]
fn print_config_hides_secrets_and_can_be_loaded_again() {
    let mut command = specimen();
    command
        .arg("--print-config")
        .env("WAYBILL_SPECIMEN__PASSWORD", "123456")
        .env("WAYBILL_SPECIMEN__LIMIT", "7");
    let (code, stdout, stderr) = output(command);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("limit = 7"), "{stdout}");
    assert!(!stdout.contains("123456"), "{stdout}");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("printed.toml");
    std::fs::write(&file, &stdout).expect("written");
    let mut command = specimen();
    command.arg("--print-config").env("WAYBILL_CONFIG", &file).env("WAYBILL_SPECIMEN__PASSWORD", "123456");
    assert_eq!(output(command).1, stdout);
}

#[test]
fn bad_usage_exits_with_64_and_help_with_0() {
    let run = |arguments: &[&str]| {
        let mut command = specimen();
        command.args(arguments);
        output(command)
    };
    assert_eq!(run(&["--no-such-flag"]).0, 64);
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!((code, stdout.as_str()), (0, "specimen 1.2.3\n"));
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("Misbehaves on demand.") && stdout.contains("WAYBILL_CONFIG"), "{stdout}");
    let (code, _, stderr) = run(&["--config", "no/such/file.toml"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("cannot read the configuration file no/such/file.toml"), "{stderr}");
}
