//! The cheapest MLLP server there can be: blocking, a thread per connection, no look at the message, a constant
//! acknowledgement. What a listener costs above this is what it does.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result};

/// Argument with which this program becomes the server.
pub(crate) const ARGUMENT: &str = "null-server";

const ACK: &[u8] =
    b"\x0BMSH|^~\\&|NULL|NULL|EHR|BENCH|20261102060000||ACK^A01|1|P|2.5.1\rMSA|AA|000000000000\r\x1C\r";

/// Serves until the process is killed; the first line of its output is its port.
pub(crate) fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || answer(stream));
    }
}

/// Ends with the connection.
fn answer(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut last = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        // The generator waits for the answer before it sends on, so a frame ends where a read ends.
        let before = if read == 1 { last } else { buffer[read - 2] };
        last = buffer[read - 1];
        if before == 0x1C && last == b'\r' && stream.write_all(ACK).is_err() {
            return;
        }
    }
}

/// The server in a process of its own, so that its CPU is counted apart.
pub(crate) struct NullServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl NullServer {
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program).arg(ARGUMENT).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the null server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().context("the null server did not tell its port")?;
        Ok(Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        // It holds nothing that an orderly end would save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
