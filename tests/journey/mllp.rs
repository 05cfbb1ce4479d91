//! The smallest MLLP client: one message, one answer.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Sends one message and gives the answer; fails when none comes in time.
pub(crate) async fn ask(address: SocketAddr, message: &[u8], within: Duration) -> anyhow::Result<String> {
    match tokio::time::timeout(within, exchange(address, message)).await {
        Ok(answer) => answer,
        Err(_) => bail!("no answer within {within:?}"),
    }
}

async fn exchange(address: SocketAddr, message: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await.context("connect")?;
    stream.write_all(&[b"\x0b", message, b"\x1c\r"].concat()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x1c\r") {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("closed after {} bytes of an answer", answer.len());
        }
    }
    Ok(String::from_utf8_lossy(&answer[1..answer.len() - 2]).into_owned())
}

/// MSA-1 of an answer.
pub(crate) fn code(answer: &str) -> &str {
    answer.split('\r').find_map(|segment| segment.strip_prefix("MSA|")?.split('|').next()).unwrap_or_default()
}

/// A laboratory result whose control id is `id`.
pub(crate) fn result(id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LIS|GENLAB|WAYBILL|HUB|20261124090000||ORU^R01^ORU_R01|{id}|P|2.5.1\r\
         PID|1||GH0012345^^^GENHOSP^MR||Testcase^Outage||19800101|F\r\
         OBR|1||F{id}^LIS|2823-3^Potassium^LN|||20261124085500|||||||||||||||20261124085900||CH|F\r\
         OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N|||F\r"
    )
    .into_bytes()
}
