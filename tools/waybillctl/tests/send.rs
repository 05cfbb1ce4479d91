//! What `send` says of receivers that do not behave. How it gets on with a real one is in `send_real.rs`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

fn send(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybillctl")).arg("send").args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Two messages, in files with line feeds.
fn messages() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in ["1", "2"] {
        let text = format!("MSH|^~\\&|EHR|GH|||20260304||ADT^A08|{id}|P|2.5\nPID|1||42^^^GH^MR\n");
        fs::write(folder.path().join(format!("{id}.hl7")), text).unwrap();
    }
    folder
}

/// Reads one frame.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 {
        bytes.push(byte[0]);
        if bytes.ends_with(b"\x1c\r") {
            return Some(bytes[1..bytes.len() - 2].to_vec());
        }
    }
    None
}

/// A receiver that answers each message with what `answer` makes of it, and closes where it makes nothing.
fn receiver(answer: fn(&[u8]) -> Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                while let Some(answer) = frame(&mut stream).as_deref().and_then(answer) {
                    stream.write_all(&answer).unwrap();
                }
            });
        }
    });
    address
}

fn ack(message: &[u8], code: &str, tail: &str) -> Vec<u8> {
    let id = String::from_utf8_lossy(message).split('|').nth(9).unwrap().to_owned();
    format!("\x0bMSH|^~\\&|||EHR|GH|20260304||ACK|A|P|2.5\rMSA|{code}|{id}\r{tail}\x1c\r").into_bytes()
}

fn path(folder: &TempDir) -> &str {
    Path::new(folder.path()).to_str().unwrap()
}

#[test]
fn every_message_has_a_line_and_all_a_summary() {
    let address = receiver(|message| {
        assert!(!message.contains(&b'\n'), "line feeds became carriage returns");
        Some(ack(message, "AA", ""))
    });
    let folder = messages();
    let (code, text) = send(&[path(&folder), "--mllp", &address, "--repeat", "3", "--connections", "2"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.contains("  AA  -  ") && line.contains(" ms  ")).count(),
        6,
        "{text}"
    );
    assert!(text.contains("6 sent: 6 accepted, 0 refused, 0 not answered"), "{text}");
}

#[test]
fn a_refusal_is_shown_with_its_place() {
    let address =
        receiver(|message| Some(ack(message, "AE", "ERR||PID^1^3^1|101^Required field missing^HL70357|E\r")));
    let folder = messages();
    let (code, text) = send(&[path(&folder), "--mllp", &address]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("1  AE  PID^1^3^1 101  "), "{text}");
}

#[test]
fn what_is_no_answer_is_no_acceptance() {
    let folder = messages();
    for (answer, says) in [
        ((|_: &[u8]| None) as fn(&[u8]) -> Option<Vec<u8>>, "closed without an answer"),
        (|_| Some(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), "no answer in time"),
        (|_| Some(b"\x0bhello\x1c\r".to_vec()), "the answer is no acknowledgement"),
        (|_| Some(ack(b"|||||||||other|", "AA", "")), "answers another message (MSA-2)"),
        (|_| Some(b"\x0bMSH|^~\\&|\x1cx".to_vec()), "the answer is no MLLP frame"),
    ] {
        let address = receiver(answer);
        let (code, text) = send(&[path(&folder), "--mllp", &address, "--timeout", "0.5"]);
        assert_eq!(code, Some(1), "{says}: {text}");
        assert!(text.contains(says) && text.contains("2 not answered"), "{says}: {text}");
    }
}

#[test]
fn nobody_there_is_69_and_bad_usage_64() {
    let folder = messages();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{silent}");
    for arguments in [&["--mllp", &silent][..], &["--http", &url]] {
        let (code, text) = send(&[&[path(&folder)], arguments].concat());
        assert_eq!(code, Some(69), "{text}");
        assert!(text.contains("does not answer"), "{text}");
    }
    let fhir = folder.path().join("patient.json");
    fs::write(&fhir, r#"{"resourceType":"Patient"}"#).unwrap();
    let address = receiver(|message| Some(ack(message, "AA", "")));
    for arguments in [
        &["--mllp", "nonsense"][..],
        &["--mllp", &silent, "--http", &url],
        &[],
        &["--mllp", &silent, "--rate", "0"],
        &["--mllp", &silent, "--rate", "1e-300"],
        &["--mllp", &silent, "--timeout", "1e300"],
        &["--mllp", &silent, "--cert", "a.pem"],
        &["--mllp", &silent, "--tls-ca", "no-such.pem"],
        &["--http", "ftp://x"],
        &["--mllp", &address],
    ] {
        let (code, text) = send(&[&[fhir.to_str().unwrap()], arguments].concat());
        assert_eq!(code, Some(64), "{arguments:?}: {text}");
    }
}

#[test]
fn the_rate_is_kept() {
    let address = receiver(|message| Some(ack(message, "AA", "")));
    let folder = messages();
    let start = std::time::Instant::now();
    let (code, text) = send(&[path(&folder), "--mllp", &address, "--repeat", "5", "--rate", "20"]);
    assert_eq!(code, Some(0), "{text}");
    // Ten messages, the first at once: nine twentieths of a second.
    assert!(start.elapsed() >= std::time::Duration::from_millis(440), "{:?}", start.elapsed());
}

/// An answer does not say where else the patient's data go.
#[test]
fn nothing_is_sent_on_to_where_an_answer_points() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, target) =
        (format!("http://{}", listener.local_addr().unwrap()), elsewhere.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/hl7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let folder = messages();
    let (code, text) = send(&[path(&folder), "--http", &url]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("  307  ") && text.contains("2 refused"), "{text}");
    let came = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(came, Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn what_is_shown_does_not_steer_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let text = "MSH|^~\\&|EHR|GH|||20260304||ADT^A08|a\u{1b}[2J|P|2.5\nPID|1||42^^^GH^MR\n";
    fs::write(folder.path().join("1.hl7"), text).unwrap();
    let address = receiver(|message| Some(ack(message, "AE", "ERR||\u{1b}]0;x\u{7}|101|E\r")));
    let (_, text) = send(&[path(&folder), "--mllp", &address]);
    assert!(text.contains("1 refused") && !text.contains(['\u{1b}', '\u{7}']), "{text:?}");
}
